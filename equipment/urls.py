"""Addresses of the register's pages and files."""

from django.urls import path

from equipment import views
from equipment.models import DataType

urlpatterns = [
    path("equipment/", views.equipment_list, name="equipment_list"),
    path("equipment/ppm/", views.equipment_list, {"data_type": DataType.PPM}, name="equipment_list_ppm"),
    path("equipment/ocm/", views.equipment_list, {"data_type": DataType.OCM}, name="equipment_list_ocm"),
    path("equipment/<int:pk>/", views.equipment_detail, name="equipment_detail"),
    path("files/photos/<int:pk>/", views.photo, name="photo"),
    path("files/documents/<int:pk>/", views.document, name="document"),
]
