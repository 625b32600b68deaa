"""Addresses of the site: each app brings its own."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("equipment.urls")),
    path("", include("dashboard.urls")),
]
