"""Forms of the register's pages."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from equipment.models import DataType, EquipmentStatus
from equipment.tables import DEFAULT_SORT, SORTS
from locations.caches import Place

LONGEST_SEARCH = 200


class EquipmentFilterForm(forms.Form):
    """What of the equipment to list, and in which order. With a fixed type it has no choice of types.

    Only the departments given, those that the user may see, are known.
    """

    q = forms.CharField(label=_("Search"), required=False, max_length=LONGEST_SEARCH)
    type = forms.ChoiceField(
        label=_("Programme"), required=False, choices=[("", _("All programmes")), *DataType.choices]
    )
    status = forms.ChoiceField(
        label=_("Status"), required=False, choices=[("", _("Any status")), *EquipmentStatus.choices]
    )
    department = forms.TypedChoiceField(
        label=_("Department"),
        required=False,
        coerce=int,
        empty_value=None,
        error_messages={"invalid_choice": forms.ModelChoiceField.default_error_messages["invalid_choice"]},
    )
    sort = forms.ChoiceField(required=False, choices=[(key, key) for key in SORTS], widget=forms.HiddenInput)

    def __init__(self, data: Any, *, departments: Iterable[Place], data_type: str | None = None) -> None:
        super().__init__(data)
        self.data_type = data_type
        choices = [(place.id, place.name) for place in departments]
        self.fields["department"].choices = [("", _("All departments")), *choices]  # type: ignore[attr-defined]
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

    @property
    def chosen(self) -> dict[str, Any]:
        """What was chosen but the order, in plain values: the parameters of `equipment_count`. It must be valid."""
        chosen = self.cleaned_data
        return {
            "data_type": self.data_type or chosen.get("type") or None,
            "status": chosen["status"] or None,
            "department": chosen["department"],
            "text": " ".join(chosen["q"].split()),
        }
