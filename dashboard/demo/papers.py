"""Service contracts, training, photos and documents."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from PIL import Image, ImageDraw

from dashboard.demo.catalogue import DEVICE_TYPES, Catalogue
from dashboard.demo.days import Days
from dashboard.demo.faults import CHECKLIST
from dashboard.demo.fleet import Device
from dashboard.demo.people import People
from equipment.models import (
    ContractKind,
    DeviceModel,
    Document,
    DocumentKind,
    EquipmentPhoto,
    EquipmentStatus,
    ServiceContract,
    TrainingRecord,
)

CONTRACT_KINDS = (ContractKind.FULL_SERVICE, ContractKind.PREVENTIVE, ContractKind.TIME_AND_MATERIAL)
CONTRACT_RATE = {
    ContractKind.FULL_SERVICE: 0.085,
    ContractKind.PREVENTIVE: 0.03,
    ContractKind.TIME_AND_MATERIAL: 0.006,
}
TRAINING_YEARS = 2
PHOTOS, MANUALS = 10, 8
PHOTO_SIZE = (640, 420)
PHOTO_COLOURS = ((58, 95, 135), (72, 116, 96), (138, 98, 66), (104, 84, 132))


def make_contracts(
    rng: Random, days: Days, fleet: list[Device], catalogue: Catalogue, first_equipment: int
) -> tuple[list[ServiceContract], Iterator[tuple[int, int]]]:
    """One contract for each type and maker worth one, with earlier years' beside it; unsaved, without keys.

    The second value links positions in the list to the keys of the equipment they cover.
    """
    positions = {row.pk: position for position, row in enumerate(catalogue.manufacturers)}
    groups: dict[tuple[int, int], list[Device]] = {}
    for device in fleet:
        if device.kind.has_contract and device.status != EquipmentStatus.DISPOSED:
            maker = positions[catalogue.models[device.model].manufacturer_id]
            groups.setdefault((catalogue.type_of_model[device.model], maker), []).append(device)
    contracts: list[ServiceContract] = []
    covered: list[list[Device]] = []
    for (kind_index, maker), devices in sorted(groups.items()):
        kind = DEVICE_TYPES[kind_index]
        contract_kind = CONTRACT_KINDS[0] if kind.cost > 60_000 else rng.choice(CONTRACT_KINDS)
        ends = days.today + rng.randint(-120, 700)
        for renewal in range(2):
            last = ends - 730 * renewal
            contracts.append(
                ServiceContract(
                    number=f"SC-{kind.code}-{maker + 1:02d}-{days.day(last):%y%m}",
                    supplier=catalogue.manufacturers[maker].name,
                    kind=contract_kind,
                    starts_on=days.day(last - 729),
                    ends_on=days.day(last),
                    annual_cost=round(len(devices) * kind.cost * CONTRACT_RATE[contract_kind] * 0.96**renewal, 2),
                    response_hours=rng.choice((4, 8, 24, 48)),
                    notes=f"{kind.name}: {len(devices)}",
                )
            )
            covered.append(devices)
    links = (
        (position, first_equipment + device.number) for position, devices in enumerate(covered) for device in devices
    )
    return contracts, links


def make_training(rng: Random, days: Days, people: People, catalogue: Catalogue) -> list[TrainingRecord]:
    """Everyone's training on a few models; some of it has expired, some will soon."""
    records = []
    for person in people.everyone:
        for model in rng.sample(catalogue.models, 6):
            trained = days.date - timedelta(days=rng.randint(5, 1100))
            records.append(
                TrainingRecord(
                    person=person,
                    device_model=model,
                    trained_on=trained,
                    expires_on=trained + timedelta(days=365 * TRAINING_YEARS) if model.life_sustaining else None,
                    trainer=f"{model.manufacturer.name} application support",
                )
            )
    for model in (model for model in catalogue.models if model.life_sustaining):
        person = rng.choice(people.clinicians)
        trained = days.date - timedelta(days=365 * TRAINING_YEARS - rng.randint(-40, 60))
        records.append(
            TrainingRecord(
                person=person,
                device_model=model,
                trained_on=trained,
                expires_on=trained + timedelta(days=365 * TRAINING_YEARS),
                trainer="In-house",
            )
        )
    once = {(record.person_id, record.device_model_id, record.trained_on): record for record in records}
    return list(once.values())


@dataclass(slots=True)
class Files:
    """Photos and documents whose files are stored already; `discard` takes the files away again."""

    photos: list[EquipmentPhoto]
    documents: list[Document]

    def discard(self) -> None:
        for file in [*(photo.file for photo in self.photos), *(document.file for document in self.documents)]:
            file.delete(save=False)


def make_files(files: Files, fleet: list[Device], catalogue: Catalogue, first_equipment: int, owner: User) -> None:
    """Store a drawn picture for the first devices and a short instruction for the first models.

    Rows are added to `files` one by one, so that the caller can discard what was stored before an error.
    """
    for device in fleet[:PHOTOS]:
        photo = EquipmentPhoto(
            equipment_id=first_equipment + device.number, caption=f"{device.kind.name}, front", uploaded_by=owner
        )
        photo.file.save("photo.png", ContentFile(draw_picture(device.kind.name, device.number)), save=False)
        files.photos.append(photo)
    for model in catalogue.models[:MANUALS]:
        document = Document(
            device_model=model, kind=DocumentKind.MANUAL, title=f"Short instruction {model.name}", uploaded_by=owner
        )
        document.file.save("instruction.txt", ContentFile(_instruction(model)), save=False)
        files.documents.append(document)


def draw_picture(name: str, number: int) -> bytes:
    """A PNG with the outline of a device on it."""
    picture = Image.new("RGB", PHOTO_SIZE, (236, 238, 241))
    pen = ImageDraw.Draw(picture)
    colour = PHOTO_COLOURS[number % len(PHOTO_COLOURS)]
    pen.rounded_rectangle((150, 70, 490, 320), radius=24, fill=colour)
    pen.rounded_rectangle((180, 100, 380, 230), radius=8, fill=(18, 28, 38))
    pen.line([(190, 170), (240, 170), (255, 130), (275, 205), (290, 170), (370, 170)], fill=(120, 220, 160), width=4)
    for row in range(3):
        pen.ellipse((415, 105 + row * 45, 445, 135 + row * 45), fill=(240, 240, 240))
    pen.rectangle((200, 320, 440, 345), fill=(90, 98, 108))
    pen.text((150, 370), name, fill=(40, 48, 58))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _instruction(model: DeviceModel) -> bytes:
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(CHECKLIST, start=1))
    return f"{model.manufacturer.name} {model.name}\n{model.description}\n\nBefore use:\n{steps}\n".encode()
