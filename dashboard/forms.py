"""Forms of the signed-in user's own pages."""

from typing import Any

from django import forms

from dashboard.models import UserPreferences
from locations.models import Location


class PreferencesForm(forms.ModelForm):
    class Meta:
        model = UserPreferences
        fields = ("theme", "language", "page_size", "dashboard_days", "home_location", "receives_reminders")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        places = Location.objects.visible_to(self.instance.user).of_kind("site", "building", "department")
        self.fields["home_location"].queryset = places  # type: ignore[attr-defined]
