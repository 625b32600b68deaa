"""Finding rows by their device: a few devices are found first, then their rows by index."""

from typing import Any

from django.db.models import Q, QuerySet

from equipment.models import Equipment

WORDS = 8


def search_by_device(queryset: "QuerySet[Any]", text: str, *others: str) -> tuple["QuerySet[Any]", bool]:
    """Rows whose device has each word of `text` in its name, serial number or asset tag, or that match `others`.

    `others` are lookups of the row itself that the whole text is tried with. The second value says that no row is
    found twice.
    """
    words = text.split()[:WORDS]
    if not words:
        return queryset, False
    devices = Equipment.objects.order_by()
    for word in words:
        devices = devices.filter(Q(serial__icontains=word) | Q(asset_tag__icontains=word) | Q(name__icontains=word))
    found = Q(equipment__in=devices.values("pk"))
    for lookup in others:
        found |= Q(**{lookup: text.strip()})
    return queryset.filter(found), False
