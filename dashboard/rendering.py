"""How forms are drawn on our own pages; the admin draws its fields itself."""

from django.forms.renderers import TemplatesSetting


class PageRenderer(TemplatesSetting):
    field_template_name = "components/field.html"
