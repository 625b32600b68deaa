"""Addresses of the site: each app brings its own."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from dashboard.views import admin_sign_in

# One way to sign in, out and to change a password for pages and admin alike: these come before the admin's own.
admin_accounts = [
    path("admin/login/", admin_sign_in),
    path("admin/logout/", login_not_required(LogoutView.as_view())),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password_change")),
]

urlpatterns = [
    *admin_accounts,
    path("admin/", admin.site.urls),
    path("", include("equipment.urls")),
    path("", include("dashboard.urls")),
]
