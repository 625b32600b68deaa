"""Changing many rows from a list: an action asks for what it needs on a page of its own, then says what was done."""

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AdminDateWidget, AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from equipment.models import Equipment, EquipmentStatus, MaintenanceOutcome
from equipment.services import BulkResult
from locations.models import Location, LocationKind

LISTED_REFUSALS = 20
LISTED_ROWS = 100

Action = Callable[[Any, HttpRequest, "QuerySet[Any]"], HttpResponseBase | None]
Write = Callable[["QuerySet[Any]", HttpRequest, dict[str, Any]], BulkResult | HttpResponseBase]


class BulkForm(forms.Form):
    """What an action needs to know; `user` is who asks."""

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person = user


class NothingForm(BulkForm):
    """For actions that need no more than a yes."""


class StatusForm(BulkForm):
    status = forms.ChoiceField(
        label=_("Status"),
        choices=[choice for choice in EquipmentStatus.choices if choice[0] != EquipmentStatus.DISPOSED],
    )


class MoveForm(BulkForm):
    location = forms.ModelChoiceField(Location.objects.none(), label=_("Location"))
    department = forms.ModelChoiceField(
        Location.objects.none(), label=_("Department"), required=False, help_text=_("Empty: it stays what it is.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = Location.objects.visible_to(self.person)
        for name, rows in (("location", allowed), ("department", allowed.of_kind(LocationKind.DEPARTMENT))):
            field = cast(forms.ModelChoiceField, self.fields[name])
            field.widget = AutocompleteSelect(Equipment._meta.get_field(name), admin.site)
            field.queryset = rows


class DisposalForm(BulkForm):
    disposed_on = forms.DateField(label=_("Disposed of on"), widget=AdminDateWidget)


class CompletionForm(BulkForm):
    completed_on = forms.DateField(label=_("Completed on"), widget=AdminDateWidget)
    outcome = forms.ChoiceField(
        label=_("Outcome"), choices=[("", _("Not stated")), *MaintenanceOutcome.choices], required=False
    )
    engineer_name = forms.CharField(
        label=_("Engineer"), max_length=200, required=False, help_text=_("Empty: as it was planned.")
    )


class ReasonForm(BulkForm):
    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 3}), required=False)


class DateForm(BulkForm):
    scheduled_date = forms.DateField(label=_("New date"), widget=AdminDateWidget)


def bulk_action(
    *,
    name: str,
    title: Any,
    write: Write,
    permission: str,
    form: type[BulkForm] = NothingForm,
    destructive: bool = False,
) -> Action:
    """An admin action that asks with `form`, then has `write` do it; offered to those who have `permission`.

    `permission` is a method of the admin, `has_<permission>_permission`. Where `write` gives a response, a file for
    instance, that is the answer.
    """

    def act(modeladmin: Any, request: HttpRequest, queryset: "QuerySet[Any]") -> HttpResponseBase | None:
        confirmed = "confirmed" in request.POST
        asked = form(request.POST if confirmed else None, user=request.user)
        if confirmed and asked.is_valid():
            try:
                result = write(queryset, request, asked.cleaned_data)
            except ValidationError as error:
                asked.add_error(None, error)
            else:
                if isinstance(result, HttpResponseBase):
                    return result
                report(modeladmin, request, result)
                return None
        return _ask(modeladmin, request, queryset, asked, name=name, title=title, destructive=destructive)

    act.__name__ = name
    act.short_description = title  # type: ignore[attr-defined]
    act.allowed_permissions = [permission]  # type: ignore[attr-defined]
    return act


def report(modeladmin: Any, request: HttpRequest, result: BulkResult) -> None:
    """Tell the user what was done and, of each row that was not, why."""
    if result.done:
        text = ngettext("%d was changed.", "%d were changed.", len(result.done)) % len(result.done)
        modeladmin.message_user(request, text, messages.SUCCESS)
    if result.unchanged:
        count = len(result.unchanged)
        text = ngettext("%d was as wanted already.", "%d were as wanted already.", count) % count
        modeladmin.message_user(request, text, messages.INFO)
    for refusal in result.refused[:LISTED_REFUSALS]:
        modeladmin.message_user(request, f"{refusal.name}: {refusal.reason}", messages.WARNING)
    more = len(result.refused) - LISTED_REFUSALS
    if more > 0:
        text = ngettext("%d more was left as it is.", "%d more were left as they are.", more) % more
        modeladmin.message_user(request, text, messages.WARNING)


def _ask(
    modeladmin: Any,
    request: HttpRequest,
    queryset: "QuerySet[Any]",
    asked: BulkForm,
    *,
    name: str,
    title: Any,
    destructive: bool,
) -> HttpResponse:
    across = request.POST.get("select_across") == "1"
    chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
    media = modeladmin.media + asked.media
    context = {
        **modeladmin.admin_site.each_context(request),
        "title": title,
        "opts": modeladmin.model._meta,
        "media": media,
        "form": asked,
        "action": name,
        "select_across": across,
        # One is enough to say that something was chosen: the filters of the address say what.
        "chosen": chosen[:1] if across else chosen,
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "rows": queryset[:LISTED_ROWS],
        "count": queryset.count(),
        "listed": LISTED_ROWS,
        "destructive": destructive,
    }
    request.current_app = modeladmin.admin_site.name
    return TemplateResponse(request, "admin/bulk_action.html", context)
