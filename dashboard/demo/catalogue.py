"""The device types of the demo: facts about each type, and invented manufacturers and models."""

from dataclasses import dataclass
from random import Random

from dashboard.demo.days import Days
from equipment.models import DeviceModel, Manufacturer, MriSafety, ProductClass


@dataclass(frozen=True, slots=True)
class DeviceType:
    """What is assumed of a type of device.

    `share` is its weight in the fleet, `cost` the usual price, `failures` the device failures a year averaged over the
    expected life, of which the share `wear` is wear-out with the power-law shape `shape`; `minutes` is the work of one
    preventive maintenance. `departments` are codes of dashboard.demo.hospital.
    """

    name: str
    code: str
    device_class: str
    specialty: str
    regulation: str
    life_sustaining: bool
    risk: str
    programme: str
    share: float
    life_years: int
    cost: int
    failures: float
    wear: float
    shape: float
    minutes: int
    is_mobile: bool
    has_contract: bool
    family: str
    departments: tuple[str, ...]


def _type(line: str, departments: str) -> DeviceType:
    (name, code, device_class, specialty, regulation, sustaining, risk, programme, share, life, cost, failures, wear,
     shape, minutes, mobile, contract, family) = (part.strip() for part in line.split("|"))  # fmt: skip
    return DeviceType(
        name, code, device_class, specialty, regulation, sustaining == "Y", risk, programme, float(share), int(life),
        int(cost), float(failures), float(wear), float(shape), int(minutes), mobile == "Y", contract == "Y", family,
        tuple(departments.split()),
    )  # fmt: skip


# Product code, class, specialty, regulation and life-sustaining are those of the FDA's product classification.
# name | code | class | specialty | regulation | life-sustaining | risk | programme |
#   share | life | cost | failures | wear | shape | minutes | mobile | contract | family
DEVICE_TYPES: tuple[DeviceType, ...] = (
    _type("Infusion pump|FRN|2|HO|880.5725|N|high|ppm|120|8|2400|.50|.40|2.6|35|Y|N|pump", "ICU MED SUR EMD DIA"),
    _type("Syringe pump|FRN|2|HO|880.5725|N|high|ppm|70|8|2100|.40|.40|2.6|30|Y|N|pump", "ICU NEO OPT"),
    _type("PCA pump|MEA|2|HO|880.5725|N|high|ppm|15|8|3200|.35|.40|2.6|35|Y|N|pump", "SUR OPT"),
    _type("Enteral feeding pump|LZH|2|HO|880.5725|N|medium|ocm|25|7|1100|.30|.45|2.8|20|Y|N|pump", "ICU MED NEO"),
    _type(
        "Intensive care ventilator|CBK|2|AN|868.5895|Y|high|ppm|24|10|32000|.60|.35|2.8|120|Y|Y|respiratory", "ICU NEO"
    ),
    _type("Transport ventilator|CBK|2|AN|868.5895|Y|high|ppm|10|10|14000|.45|.35|2.6|75|Y|N|respiratory", "EMD ICU"),
    _type("Anaesthesia workstation|BSZ|2|AN|868.5160|Y|high|ppm|14|10|58000|.70|.35|2.6|150|N|Y|respiratory", "OPT"),
    _type("Respiratory humidifier|BTT|2|AN|868.5450|N|medium|ppm|22|8|1600|.25|.50|3.0|20|Y|N|warming", "ICU NEO MED"),
    _type("Patient monitor|MHX|2|CV|870.1025|N|high|ppm|85|9|7800|.35|.25|2.2|40|N|N|monitor", "ICU EMD OPT CAR NEO"),
    _type("Vital signs monitor|DXN|2|CV|870.1130|N|medium|ocm|70|8|1900|.40|.35|2.4|25|Y|N|monitor", "MED SUR OUT EMD"),
    _type("Pulse oximeter|DQA|2|CV|870.2700|N|medium|ocm|45|6|700|.30|.45|2.4|15|Y|N|sensor", "MED SUR OUT NEO"),
    _type("Fetal monitor|HGM|2|OB|884.2740|N|high|ppm|14|9|8600|.40|.30|2.4|40|Y|N|recorder", "OBS"),
    _type("Electrocardiograph|DPS|2|CV|870.2340|N|medium|ocm|22|9|4200|.35|.30|2.2|30|Y|N|recorder", "CAR MED OUT EMD"),
    _type(
        "Defibrillator|LDD|2|CV|870.5300|Y|high|ppm|30|9|11500|.25|.35|2.8|40|Y|N|defibrillator", "ICU EMD OPT CAR MED"
    ),
    _type(
        "Automated external defibrillator|MKJ|3|CV|870.5310|N|high|ocm|16|8|1700|.12|.55|3.4|20|N|N|defibrillator",
        "OUT MED PHY",
    ),
    _type("Electrosurgical unit|GEI|2|SU|878.4400|N|high|ppm|18|10|16500|.35|.30|2.4|60|N|N|electrosurgery", "OPT END"),
    _type("Operating table|FQO|1|SU|878.4960|N|medium|ocm|10|14|36000|.40|.60|3.0|75|N|N|furniture", "OPT"),
    _type("Surgical light|FSY|2|SU|878.4580|N|medium|ocm|14|13|21000|.25|.50|3.0|40|N|N|light", "OPT EMD"),
    _type("Suction unit|JCX|2|SU|878.4780|N|medium|ocm|42|9|900|.30|.60|3.0|20|Y|N|suction", "MED SUR EMD ICU OPT"),
    _type("Patient warming system|DWJ|2|CV|870.5900|N|medium|ocm|16|8|2700|.30|.45|2.8|30|Y|N|warming", "OPT ICU"),
    _type("Infusion warmer|LGZ|2|HO|880.5725|N|medium|ppm|10|8|3900|.25|.40|2.6|30|Y|N|warming", "OPT EMD"),
    _type("Neonatal incubator|FMZ|2|HO|880.5400|N|high|ppm|14|10|19000|.50|.45|2.8|70|N|N|neonatal", "NEO"),
    _type("Infant radiant warmer|FMT|2|HO|880.5130|N|high|ppm|10|10|12500|.35|.45|2.8|45|N|N|neonatal", "NEO OBS"),
    _type("Phototherapy unit|LBI|2|HO|880.5700|N|medium|ocm|8|8|3100|.20|.60|3.0|25|Y|N|light", "NEO OBS"),
    _type("Haemodialysis machine|KDI|2|GU|876.5860|Y|high|ppm|26|8|17500|1.10|.45|2.4|120|N|Y|dialysis", "DIA ICU"),
    _type(
        "Ultrasound system|IYN|2|RA|892.1550|N|medium|ocm|16|8|72000|.60|.30|2.2|75|Y|Y|ultrasound",
        "RAD CAR OBS EMD OUT",
    ),
    _type("Mobile X-ray unit|IZL|2|RA|892.1720|N|medium|ocm|6|10|98000|.70|.40|2.6|120|Y|Y|x-ray", "RAD ICU EMD"),
    _type("Mobile C-arm|OXO|2|RA|892.1650|N|medium|ocm|4|10|145000|.90|.40|2.6|150|N|Y|x-ray", "OPT"),
    _type("CT scanner|JAK|2|RA|892.1750|N|medium|ppm|2|10|690000|2.40|.40|2.4|300|N|Y|x-ray", "RAD"),
    _type("MRI scanner|LNH|2|RA|892.1000|N|medium|ppm|1.5|11|1350000|1.80|.30|2.2|360|N|Y|mri", "RAD"),
    _type("Steam steriliser|FLE|2|HO|880.6880|N|high|ppm|7|14|68000|1.40|.60|3.0|180|N|Y|sterilisation", "CSS"),
    _type("Endoscope washer|NVE|2|GU|876.1500|N|high|ppm|5|9|42000|1.20|.55|2.8|120|N|Y|sterilisation", "END CSS"),
    _type("Flexible gastroscope|FDS|2|GU|876.1500|N|medium|ocm|14|5|26000|1.00|.65|3.2|30|Y|Y|endoscope", "END"),
    _type("Blood gas analyser|CHL|2|CH|862.1120|N|high|ocm|7|7|24000|1.10|.35|2.2|60|N|Y|analyser", "ICU EMD LAB NEO"),
    _type("Laboratory centrifuge|JQC|1|CH|862.2050|N|medium|ocm|14|11|5200|.25|.60|3.0|35|N|N|machine", "LAB"),
    _type("Blood refrigerator|KSE|2|HE|864.9700|N|high|ocm|8|12|9800|.25|.60|3.0|30|N|N|machine", "LAB OPT EMD"),
    _type("Ultrasound therapy unit|IMI|2|PM|890.5300|N|medium|ocm|10|9|2300|.20|.35|2.4|25|Y|N|ultrasound", "PHY"),
    _type("Hospital bed|FNL|2|HO|880.5100|N|low|none|105|12|3400|.30|.65|3.0|30|N|N|furniture", "MED SUR ICU OBS"),
    _type("Patient lift|FNG|2|HO|880.5500|N|medium|none|16|10|4100|.25|.60|3.0|30|Y|N|furniture", "MED SUR PHY"),
    _type("Patient scale|FRI|1|HO|880.2700|N|low|none|18|10|650|.10|.40|2.2|15|Y|N|sensor", "OUT MED NEO DIA"),
    _type(
        "Clinical thermometer|FLL|2|HO|880.2910|N|low|none|40|5|180|.15|.40|2.2|10|Y|N|sensor", "MED SUR OUT EMD NEO"
    ),
    _type("Otoscope|ERA|1|EN|874.4770|N|low|none|16|8|240|.08|.40|2.2|10|Y|N|light", "OUT EMD"),
)


@dataclass(frozen=True, slots=True)
class CustomPlan:
    """A plan beside the programme, or instead of one. Floating ones count from the last completion."""

    name: str
    interval: int
    unit: str
    is_floating: bool
    is_calibration: bool
    minutes: int


# By the name of the type; every interval is whole months or days.
CUSTOM_PLANS: dict[str, CustomPlan] = {
    "Defibrillator": CustomPlan("Battery replacement", 24, "month", True, False, 20),
    "Steam steriliser": CustomPlan("Annual validation", 12, "month", False, True, 480),
    "Blood gas analyser": CustomPlan("Calibration check", 90, "day", True, True, 45),
    "Hospital bed": CustomPlan("Safety inspection", 24, "month", False, False, 30),
    "Patient lift": CustomPlan("Load test", 6, "month", False, False, 30),
    "Patient scale": CustomPlan("Calibration", 12, "month", True, True, 15),
}

MANUFACTURERS: tuple[str, ...] = (
    "Quillmark Medical", "Tarnholt Instruments", "Veldrake Systems", "Osprenne Imaging", "Ketterwick Surgical",
    "Solvane Respiratory", "Brackenfeld Technik", "Marrowby & Finch", "Lindquay Infusion", "Hestermoor Laboratory",
    "Ravensgill Healthcare", "Pellowick Neonatal",
)  # fmt: skip

# Which of them make what.
MAKERS: dict[str, tuple[int, ...]] = {
    "pump": (8, 0, 10),
    "monitor": (1, 0, 10),
    "recorder": (1, 11),
    "sensor": (10, 1, 7),
    "respiratory": (5, 2, 0),
    "defibrillator": (1, 10),
    "x-ray": (3, 6),
    "ultrasound": (3, 6, 7),
    "mri": (3,),
    "electrosurgery": (4, 7),
    "endoscope": (4, 6),
    "light": (7, 4, 11),
    "suction": (7, 2),
    "furniture": (10, 7, 2),
    "warming": (5, 2),
    "neonatal": (11, 5),
    "dialysis": (8, 2),
    "sterilisation": (6, 2),
    "analyser": (9, 0),
    "machine": (9, 7),
}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Unsaved rows with their keys set; `models_of[i]` are the positions in `models` of type i."""

    manufacturers: list[Manufacturer]
    models: list[DeviceModel]
    models_of: list[list[int]]
    type_of_model: list[int]

    def codes(self) -> list[str]:
        """The product code of each model."""
        return [DEVICE_TYPES[index].code for index in self.type_of_model]


def make_catalogue(rng: Random, days: Days, first_manufacturer: int, first_model: int) -> Catalogue:
    """Two to four models of each type; the older ones have a date from which they are not supported."""
    manufacturers = [Manufacturer(pk=first_manufacturer + i, name=name) for i, name in enumerate(MANUFACTURERS)]
    catalogue = Catalogue(manufacturers, [], [], [])
    for index, kind in enumerate(DEVICE_TYPES):
        stem = "".join(word[0] for word in kind.name.split())[:2].upper()
        makers = MAKERS[kind.family]
        positions = []
        for generation in range(rng.randint(2, 4)):
            maker = makers[generation % len(makers)]
            letter = MANUFACTURERS[maker][0]
            age_years = 3 + 4 * generation + rng.random() * 3
            published = days.day(days.today - int(age_years * 365))
            support_days = int((age_years - kind.life_years - 1) * 365)
            positions.append(len(catalogue.models))
            catalogue.type_of_model.append(index)
            catalogue.models.append(
                DeviceModel(
                    pk=first_model + len(catalogue.models),
                    manufacturer=manufacturers[maker],
                    name=f"{letter}{stem}-{9 - 2 * generation}{rng.randrange(10)}0",
                    brand=f"{MANUFACTURERS[maker].split()[0]} {stem}",
                    catalog_number=f"{index + 11}-{generation + 1}{rng.randrange(1000):03d}",
                    description=kind.name,
                    published_on=published,
                    mri_safety=_mri_safety(kind, rng),
                    device_class=kind.device_class,
                    life_sustaining=kind.life_sustaining,
                    expected_life_months=kind.life_years * 12,
                    end_of_support_on=days.day(days.today - support_days) if support_days > -900 else None,
                )
            )
        catalogue.models_of.append(positions)
    return catalogue


def product_classes() -> list[ProductClass]:
    """One row for each product code in use; unsaved, without keys."""
    by_code = {kind.code: kind for kind in reversed(DEVICE_TYPES)}
    return [
        ProductClass(
            code=code,
            name=by_code[code].name,
            device_class=by_code[code].device_class,
            medical_specialty=by_code[code].specialty,
            regulation_number=by_code[code].regulation,
            life_sustaining=by_code[code].life_sustaining,
        )
        for code in sorted(by_code)
    ]


def _mri_safety(kind: DeviceType, rng: Random) -> str:
    if kind.name == "MRI scanner" or kind.risk == "low":
        return MriSafety.NOT_STATED
    return MriSafety.CONDITIONAL if kind.is_mobile and rng.random() < 0.15 else MriSafety.UNSAFE
