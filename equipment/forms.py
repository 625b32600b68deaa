"""Forms of the register's pages."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from equipment.models import DataType, EquipmentStatus
from equipment.querysets import EquipmentQuerySet
from equipment.tables import DEFAULT_SORT, SORTS
from locations.models import Location, LocationKind

LONGEST_SEARCH = 200


class EquipmentFilterForm(forms.Form):
    """What of the equipment to list, and in which order. With a fixed type it has no choice of types.

    Only departments the user may see are known.
    """

    q = forms.CharField(label=_("Search"), required=False, max_length=LONGEST_SEARCH)
    type = forms.ChoiceField(
        label=_("Programme"), required=False, choices=[("", _("All programmes")), *DataType.choices]
    )
    status = forms.ChoiceField(
        label=_("Status"), required=False, choices=[("", _("Any status")), *EquipmentStatus.choices]
    )
    department = forms.ModelChoiceField(
        label=_("Department"), required=False, queryset=Location.objects.none(), empty_label=_("All departments")
    )
    sort = forms.ChoiceField(required=False, choices=[(key, key) for key in SORTS], widget=forms.HiddenInput)

    def __init__(self, data: Any, *, user: Any, data_type: str | None = None) -> None:
        super().__init__(data)
        self.data_type = data_type
        self.fields["department"].queryset = (  # type: ignore[attr-defined]
            Location.objects.visible_to(user).of_kind(LocationKind.DEPARTMENT).order_by("name", "pk")
        )
        self.fields["q"].widget.input_type = "search"
        if data_type:
            del self.fields["type"]

    @property
    def is_narrowing(self) -> bool:
        """Whether anything but the order was chosen."""
        return any(self.cleaned_data.get(name) for name in ("q", "type", "status", "department"))

    @property
    def order(self) -> str:
        """The key of the order that was chosen, of SORTS."""
        return self.cleaned_data.get("sort") or DEFAULT_SORT

    def narrow(self, equipment: EquipmentQuerySet) -> EquipmentQuerySet:
        """`equipment` as chosen, in the order chosen; the form must be valid."""
        chosen = self.cleaned_data
        data_type = self.data_type or chosen.get("type")
        if data_type:
            equipment = equipment.of_type(data_type)
        if chosen["status"]:
            equipment = equipment.filter(status=chosen["status"])
        if chosen["department"]:
            equipment = equipment.filter(department=chosen["department"])
        if chosen["q"]:
            equipment = equipment.matching(chosen["q"])
        return equipment.order_by(*SORTS[self.order])
