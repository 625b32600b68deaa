"""Stored files follow their rows, after the commit."""

import pytest
from django.core.files.base import ContentFile
from django.db import transaction

from equipment.models import Document, Equipment, EquipmentPhoto
from equipment.services import delete_equipment
from equipment.tests import recipes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


def stored(media):
    return sorted(path.read_bytes() for path in media.rglob("*") if path.is_file())


def photo(device, content=b"photo"):
    return EquipmentPhoto.objects.create(equipment=device, file=ContentFile(content, name="photo.png"))


def document(device, content=b"document"):
    return Document.objects.create(equipment=device, title="Manual", file=ContentFile(content, name="manual.txt"))


@pytest.mark.parametrize("make", [photo, document])
def test_a_file_goes_with_its_row_once_that_is_committed(make, media, django_capture_on_commit_callbacks):
    row = make(recipes.device.make())

    with django_capture_on_commit_callbacks(execute=True):
        row.delete()
        assert len(stored(media)) == 1

    assert stored(media) == []


@pytest.mark.parametrize("make", [photo, document])
def test_a_file_goes_when_another_takes_its_place(make, media, django_capture_on_commit_callbacks):
    row = make(recipes.device.make(), b"old")

    with django_capture_on_commit_callbacks(execute=True):
        row.file = ContentFile(b"new", name="another.png")
        row.save()

    assert stored(media) == [b"new"]


def test_a_row_that_is_saved_with_its_file_keeps_it(media, django_capture_on_commit_callbacks):
    row = photo(recipes.device.make())

    with django_capture_on_commit_callbacks(execute=True):
        row.caption = "Front"
        row.save()

    assert stored(media) == [b"photo"]


@pytest.mark.parametrize("many", [True, False])
def test_the_files_of_a_device_go_with_it(many, media, django_capture_on_commit_callbacks):
    device = recipes.device.make()
    photo(device)
    document(device)

    with django_capture_on_commit_callbacks(execute=True):
        if many:
            delete_equipment(equipment=Equipment.objects.all())
        else:
            device.delete()

    assert stored(media) == []


@pytest.mark.django_db(transaction=True)
def test_a_deletion_that_is_rolled_back_keeps_the_file(media):
    device = recipes.device.make()
    row = photo(device)

    with transaction.atomic():
        row.delete()
        transaction.set_rollback(True)

    assert stored(media) == [b"photo"]
    assert EquipmentPhoto.objects.filter(equipment=device).exists()


def test_a_file_that_another_row_shares_stays(media, django_capture_on_commit_callbacks):
    device = recipes.device.make()
    row = photo(device)
    EquipmentPhoto.objects.create(equipment=device, file=row.file.name)

    with django_capture_on_commit_callbacks(execute=True):
        row.delete()

    assert stored(media) == [b"photo"]
