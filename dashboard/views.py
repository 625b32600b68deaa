"""The home page and the user's own pages."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.decorators import login_not_required, permission_required
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.figures import home_figures
from dashboard.forms import PreferencesForm
from dashboard.models import UserPreferences
from equipment.models import ScheduledMaintenance

NEEDING_ATTENTION = 10


@require_safe
@permission_required("equipment.view_equipment", raise_exception=True)
def home(request: HttpRequest) -> HttpResponse:
    """What the register holds and what is late, as of one instant."""
    now = timezone.now()
    today = timezone.localdate(now)
    overdue = (
        ScheduledMaintenance.objects.visible_to(request.user)
        .overdue_on(today)
        .select_related("equipment__location", "equipment__device_model__manufacturer")
        .order_by("scheduled_date", "pk")[:NEEDING_ATTENTION]
    )
    context = {
        "section": "home",
        "as_of": now,
        "figures": home_figures(user=request.user, day=today, days_ahead=_preferences(request).dashboard_days),
        "attention": [(row, (today - row.scheduled_date).days) for row in overdue],
    }
    return render(request, "dashboard/home.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """What the signed-in user has chosen for themselves."""
    form = PreferencesForm(request.POST or None, instance=_preferences(request))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Your preferences are saved."))
        return redirect("preferences")
    return render(
        request,
        "accounts/preferences.html",
        {"section": "preferences", "form": form},
        status=400 if form.errors else 200,
    )


@login_not_required
@never_cache
def admin_sign_in(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """The admin's own sign-in page gives way to ours; who is signed in without access is told so, not asked again."""
    target = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
        target = reverse("admin:index")
    if not request.user.is_authenticated:
        return redirect_to_login(target)
    if not admin.site.has_permission(request):
        raise PermissionDenied
    return redirect(target)


def _preferences(request: HttpRequest) -> UserPreferences:
    """Those PreferencesMiddleware found."""
    found: UserPreferences | None = getattr(request, "preferences", None)
    return found if found is not None else UserPreferences(user=cast(User, request.user))
