"""The admin as a part of the product: its name, the order of its sections, and how pick lists name objects."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

APP_ORDER = ("equipment", "locations", "analyses", "auth", "dashboard", "audit", "axes")


class LabelledAutocompleteView(AutocompleteJsonView):
    """Django's pick list, where a model's admin may say more of an object than its name."""

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        label = getattr(self.model_admin, "autocomplete_label", str)
        return {**super().serialize_result(obj, to_field_name), "text": str(label(obj))}


class PlumblineAdminSite(admin.AdminSite):
    site_header = _("Plumbline administration")
    site_title = _("Plumbline administration")
    index_title = _("Administration")
    site_url = "/"

    def autocomplete_view(self, request: HttpRequest) -> Any:
        return LabelledAutocompleteView.as_view(admin_site=self)(request)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The sections in the order people need them, the register first."""
        sections = super().get_app_list(request, app_label)
        places = {label: place for place, label in enumerate(APP_ORDER)}
        return sorted(sections, key=lambda section: places.get(section["app_label"], len(places)))


class PlumblineAdminConfig(AdminConfig):
    """In INSTALLED_APPS instead of `django.contrib.admin`."""

    default_site = "dashboard.admin_site.PlumblineAdminSite"
