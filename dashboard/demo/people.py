"""The users of the demo: those who sign in, and the staff whose names appear in the history."""

from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User

from dashboard.groups import ADMIN, EDITOR, VIEWER
from dashboard.models import UserPreferences
from locations.models import Location, LocationLimit

# The last one sees the second site only.
LIMITED = "north"
SIGN_INS: dict[str, tuple[str, str, str]] = {
    "admin": (ADMIN, "Ada", "Whitlock"),
    "editor": (EDITOR, "Edmund", "Sorley"),
    "viewer": (VIEWER, "Vera", "Lindqvist"),
    LIMITED: (VIEWER, "Noor", "Haverty"),
}
ENGINEERS = (
    ("Ines", "Calloway"), ("Tomas", "Brandvold"), ("Priya", "Raghunath"), ("Owen", "Dalgleish"),
    ("Marta", "Szewczyk"), ("Jonas", "Eberling"),
)  # fmt: skip
CLINICIANS = (
    ("Ruth", "Ainsley"), ("Samuel", "Oyelaran"), ("Greta", "Nyholm"), ("Luis", "Cantero"), ("Aoife", "Brannock"),
    ("Hana", "Morishige"), ("Felix", "Tremaine"), ("Yusuf", "Demirkan"), ("Clara", "Vosskamp"), ("Peter", "Halloway"),
    ("Nadia", "Benhaddou"), ("Simon", "Ashgrove"), ("Leila", "Farsani"), ("Karl", "Otterbein"), ("Mei", "Fangzhou"),
    ("Anna", "Krzemien"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class People:
    """Who appears in the history; engineers work, clinicians report and answer for devices."""

    engineers: list[User]
    clinicians: list[User]

    @property
    def everyone(self) -> list[User]:
        return self.engineers + self.clinicians


def make_people(password: str) -> People:
    """Store the users that are not there yet; accounts that are there stay as they are.

    The staff cannot sign in: they have no usable password. Groups are those of dashboard.groups.
    """
    there = set(User.objects.values_list("username", flat=True))
    wanted = [_user(name, first, last, make_password(password)) for name, (_g, first, last) in SIGN_INS.items()]
    wanted += [_user(_login(*name), *name, make_password(None)) for name in (*ENGINEERS, *CLINICIANS)]
    for user in wanted:
        if user.username in SIGN_INS:
            user.is_staff = SIGN_INS[user.username][0] != VIEWER
            user.is_superuser = user.username == "admin"
    new = [user for user in wanted if user.username not in there]
    User.objects.bulk_create(new)
    groups = {group.name: group for group in Group.objects.filter(name__in=(ADMIN, EDITOR, VIEWER))}
    memberships = User.groups.through
    memberships.objects.bulk_create(
        [
            memberships(user_id=user.pk, group_id=groups[_group(user.username)].pk)
            for user in new
            if _group(user.username)
        ]
    )
    stored = User.objects.in_bulk([user.username for user in wanted], field_name="username")
    return People(
        [stored[_login(*name)] for name in ENGINEERS],
        [stored[_login(*name)] for name in CLINICIANS],
    )


def limit_people(site: Location) -> None:
    """Limit the user LIMITED to `site`, once the locations are stored."""
    user = User.objects.get(username=LIMITED)
    LocationLimit.objects.bulk_create([LocationLimit(user=user, location=site)], ignore_conflicts=True)
    UserPreferences.objects.bulk_create([UserPreferences(user=user, home_location=site)], ignore_conflicts=True)


def _group(username: str) -> str:
    if username in SIGN_INS:
        return SIGN_INS[username][0]
    return EDITOR if username in {_login(*name) for name in ENGINEERS} else ""


def _login(first: str, last: str) -> str:
    return f"{first[0]}.{last}".lower()


def _user(username: str, first: str, last: str, password: str) -> User:
    return User(
        username=username, first_name=first, last_name=last, email=f"{username}@hospital.example", password=password
    )


def user_names() -> frozenset[str]:
    """The names of all users of the demo."""
    return frozenset(SIGN_INS) | {_login(*name) for name in (*ENGINEERS, *CLINICIANS)}
