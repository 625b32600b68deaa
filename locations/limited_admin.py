"""The admin within a user's limits: what lies outside is neither shown, offered nor written to."""

from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Page, Paginator
from django.db import DataError, models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from locations.limited_deletion import DeletionWithinLimits
from locations.querysets import limit_paths

LARGEST_KEY = 2**63 - 1


def as_key(value: str) -> int | None:
    """The primary key that a text from an address names; None for a text that can be nobody's."""
    if not value.isdecimal() or len(value) > len(str(LARGEST_KEY)) or int(value) > LARGEST_KEY:
        return None
    return int(value)


def visible(queryset: "models.QuerySet[Any]", user: Any) -> "models.QuerySet[Any]":
    """What of the rows the user may see, where their model knows limits; else all."""
    visible_to = getattr(queryset, "visible_to", None)
    return queryset if visible_to is None else visible_to(user)


class LimitedModelForm(forms.ModelForm):
    """Offers only rows inside the limits of `user`.

    A value that lies outside already is kept, unseen. `placed_by` names the field that puts the row at a location: a
    limited user cannot leave it empty, which would put the row outside.
    """

    user: ClassVar[Any] = None
    placed_by: ClassVar[str] = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if limit_paths(self.user) is None:
            return
        for name, field in self.fields.items():
            if isinstance(field, forms.ModelChoiceField) and field.queryset is not None:
                self._limit(name, field, field.queryset)
        place = self.fields.get(self.placed_by)
        if place is not None and not place.disabled:
            place.required = True

    def _limit(self, name: str, field: forms.ModelChoiceField, offered: "models.QuerySet[Any]") -> None:
        allowed = visible(offered, self.user)
        present = None if isinstance(field, forms.ModelMultipleChoiceField) else self._present(name)
        if present is not None and not allowed.filter(pk=present).exists():
            field.queryset = offered.filter(pk=present)
            field.disabled = True
            field.widget = forms.HiddenInput()
        else:
            field.queryset = allowed

    def _present(self, name: str) -> Any:
        return getattr(self.instance, f"{name}_id", None) if self.instance.pk else None


class _Limited:
    """What admins and inlines share."""

    placed_by = ""
    # What the name of a row is made of: read with it, wherever it is shown.
    named_by: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Any]":
        rows = visible(super().get_queryset(request), request.user)  # type: ignore[misc]
        return rows.select_related(*self.named_by) if self.named_by else rows

    def _for_user(self, form: type[forms.ModelForm], request: HttpRequest) -> type[forms.ModelForm]:
        # The class was made for this request alone.
        if issubclass(form, LimitedModelForm):
            form.user = request.user
            form.placed_by = self.placed_by
        return form


class KeysFirstPaginator(Paginator):
    """Finds the keys of a page by an index alone, then reads those rows: a page far back costs little more."""

    def page(self, number: int | str) -> Page:
        page = super().page(number)
        rows = cast("models.QuerySet[Any]", self.object_list)
        keys = list(cast("models.QuerySet[Any]", page.object_list).values_list("pk", flat=True))
        page.object_list = rows.filter(pk__in=keys)
        return page


class LimitedAdmin(DeletionWithinLimits, _Limited, admin.ModelAdmin):
    """A model's admin: limited, quick on big tables, and deleting many at once only for those who may."""

    form = LimitedModelForm
    paginator = KeysFirstPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200
    # Naming the objects of another app's permission is no dependency on its code.
    delete_many_permission = "equipment.bulk_delete_equipment"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return self._for_user(super().get_form(request, obj, change, **kwargs), request)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list; raises IncorrectLookupParameters for filters that the database cannot even compare with."""
        try:
            return super().get_changelist_instance(request)
        except (ValueError, OverflowError, DataError) as error:
            raise IncorrectLookupParameters(error) from error

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        if not request.user.has_perm(self.delete_many_permission):
            actions.pop("delete_selected", None)
        return actions

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, set[str], Any]:
        """What the register keeps by itself goes along; what is in use is named before anything else."""
        deleted, counts, lacking, protected = super().get_deleted_objects(objs, request)
        kept_by_itself = {
            str(model._meta.verbose_name)
            for model, model_admin in self.admin_site._registry.items()
            if isinstance(model_admin, ReadOnlyAdmin)
        }
        return deleted, counts, set() if protected else {str(name) for name in lacking} - kept_by_itself, protected

    def autocomplete_label(self, obj: Any, limits: list[str] | None) -> str:
        """How a pick list names the object to somebody with these limits (`limit_paths`)."""
        return str(obj)


class LimitedInline(_Limited, admin.TabularInline):
    form = LimitedModelForm
    extra = 0

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        self._for_user(formset.form, request)
        return formset


class ReadOnlyInline(LimitedInline):
    """Shows rows that are written elsewhere: the `latest` of them, each with a link where it has a page."""

    max_num = 0
    can_delete = False
    show_change_link = True
    latest = 10
    parent_field = ""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Any]":
        rows = super().get_queryset(request)
        parent = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
        if parent is None or not str(parent).isdecimal():
            return rows.none()
        # A formset filters what it is given, which a slice does not allow.
        newest = list(rows.filter(**{self.parent_field: parent}).values_list("pk", flat=True)[: self.latest])
        return rows.filter(pk__in=newest)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(LimitedAdmin):
    """Rows that the register writes itself."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields or ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class YearFilter(admin.SimpleListFilter):
    """The years of a date field, found from its first and last value: a date hierarchy would read every row."""

    field = ""
    title = _("year")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        # One query for each end: asked for both at once, SQLite would read the whole index.
        rows = visible(model_admin.model._default_manager.all(), request.user)
        values = rows.values_list(self.field, flat=True)
        first, last = values.order_by(self.field).first(), values.order_by(f"-{self.field}").first()
        if first is None or last is None:
            return []
        return [(str(year), str(year)) for year in range(last.year, first.year - 1, -1)]

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[Any]") -> "models.QuerySet[Any] | None":
        value = self.value()
        if not value:
            return None
        offered = {year for year, _title in self.lookup_choices}
        return queryset.filter(**{f"{self.field}__year": int(value)}) if value in offered else queryset.none()


def year_filter(field: str, title: Any, parameter: str = "year") -> type[YearFilter]:
    """A YearFilter for `field`."""
    return type("YearFilter", (YearFilter,), {"field": field, "title": title, "parameter_name": parameter})
