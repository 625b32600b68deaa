"""The admin as a part of the product: its name, the order of its sections, and how pick lists name objects."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.core.exceptions import BadRequest
from django.db import DataError
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from locations.limited_admin import as_key
from locations.querysets import limit_paths

APP_ORDER = ("equipment", "locations", "analyses", "auth", "dashboard", "audit", "axes")

_View = TypeVar("_View", bound=Callable[..., Any])


def _refusing_the_impossible(view: _View) -> _View:
    """The view, answering 400 to values that no form of ours sends and no database compares with."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if any("\0" in value for _name, values in request.GET.lists() for value in values):
            raise BadRequest("a text with a null character")
        if any(as_key(value) is None for value in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest("a chosen row that is none")
        try:
            return view(request, *args, **kwargs)
        except (OverflowError, DataError) as error:
            raise BadRequest(str(error)) from error

    return cast(_View, answer)


class LabelledAutocompleteView(AutocompleteJsonView):
    """Django's pick list, where a model's admin may say more of an object than its name."""

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        label = getattr(self.model_admin, "autocomplete_label", None)
        text = label(obj, self.limits) if label else obj
        return {**super().serialize_result(obj, to_field_name), "text": str(text)}

    @cached_property
    def limits(self) -> list[str] | None:
        return limit_paths(self.request.user)


class PlumblineAdminSite(admin.AdminSite):
    site_header = _("Plumbline administration")
    site_title = _("Plumbline administration")
    index_title = _("Administration")
    site_url = "/"

    def admin_view(self, view: _View, cacheable: bool = False) -> _View:
        return super().admin_view(_refusing_the_impossible(view), cacheable)

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
