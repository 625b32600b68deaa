"""What is cached of people, their sessions and the home page, and what makes it stale.

What is read here is kept in Redis, and Redis is read by more people than the database: no entry, and no name of a
row, tells a secret (docs/decisions/sessions-and-rights-through-the-cache.md).
"""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.contrib.sessions.serializers import JSONSerializer
from django.core import signing
from django.core.signing import BadSignature

from dashboard.figures import HomeFigures, quarter_start
from dashboard.models import UserPreferences
from equipment.caches import equipment_counts, maintenance_counts, open_work_orders, overdue_maintenance
from invalidation import cached_read, row, scope, sometimes, table, watch
from invalidation.seals import seal, unsealed
from locations.querysets import Limits

logger = logging.getLogger(__name__)

NEEDING_ATTENTION = 10

GroupMembers = User.groups.through
OwnPermissions = User.user_permissions.through
GroupPermissions = Group.permissions.through

# What a session holds that does nothing but say who is signed in.
SIGNED_IN = frozenset({SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY})


def declare() -> None:
    """Tell the engine whose writes end entries; called once, from `ready()`."""
    watch(User, exclude=("last_login",))
    for model in (Group, Permission, ContentType, GroupPermissions):
        watch(model)
    for of_one_user in (GroupMembers, OwnPermissions, UserPreferences):
        watch(of_one_user, scopes=("user",))
    watch(Session)


# People


@dataclass(frozen=True, slots=True)
class Account:
    """A user as the site needs to know them on every page.

    `session_hash` stands for the password, and `has_password` says whether there is one to sign in with.
    """

    id: int
    username: str
    first_name: str
    last_name: str
    is_active: bool
    is_staff: bool
    is_superuser: bool
    has_password: bool
    session_hash: str


@dataclass(frozen=True, slots=True)
class Rights:
    """Permissions as "app.codename", sorted: a user's own, and those of their groups."""

    own: tuple[str, ...]
    by_group: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preferences:
    """What of a user's choices every page asks for."""

    theme: str
    language: str
    page_size: int
    dashboard_days: int


ACCOUNT_FIELDS = ("id", "username", "first_name", "last_name", "is_active", "is_staff", "is_superuser")
ALL_PERMISSIONS = [table(Permission), table(ContentType)]


def account_of(user_id: int) -> Account | None:
    """The user's account; None where there is no such user."""
    try:
        return Account(**unsealed(sealed_account, f"account.{user_id}", user_id=user_id))
    except User.DoesNotExist:
        return None


def rights_of(user_id: int, *, is_superuser: bool) -> Rights:
    """The user's permissions; a superuser has every one."""
    found = unsealed(sealed_rights, f"rights.{user_id}", user_id=user_id, is_superuser=is_superuser)
    return Rights(**found)


@cached_read("user:account", needs=lambda p: [row(User, p["user_id"])], ttl="list", scope="user_id")
def sealed_account(*, user_id: int) -> str:
    """The fields of the user's Account; raises User.DoesNotExist."""
    user = User.objects.only("password", *ACCOUNT_FIELDS).get(pk=user_id)
    account = Account(
        **{name: getattr(user, name) for name in ACCOUNT_FIELDS},
        has_password=user.has_usable_password(),
        session_hash=user.get_session_auth_hash(),
    )
    return seal(f"account.{user_id}").sign_object(asdict(account))


@cached_read(
    "user:rights",
    needs=lambda p: (
        ALL_PERMISSIONS
        if p["is_superuser"]
        else [
            *(scope(model, user=p["user_id"]) for model in (GroupMembers, OwnPermissions)),
            *(sometimes(table(model)) for model in (Group, GroupPermissions, Permission, ContentType)),
        ]
    ),
    ttl="list",
    scope="user_id",
)
def sealed_rights(*, user_id: int, is_superuser: bool) -> str:
    """The fields of the user's Rights."""
    app, codename = "content_type__app_label", "codename"
    if is_superuser:
        own = by_group = _names(Permission.objects.order_by().values_list(app, codename))
    else:
        given = OwnPermissions.objects.filter(user_id=user_id)
        own = _names(given.values_list(f"permission__{app}", f"permission__{codename}"))
        joined = GroupMembers.objects.filter(user_id=user_id)
        by_group = _names(joined.values_list(f"group__permissions__{app}", f"group__permissions__{codename}"))
    return seal(f"rights.{user_id}").sign_object({"own": own, "by_group": by_group})


def _names(permissions: Iterable[tuple[str | None, str | None]]) -> list[str]:
    """The permissions as Django names them; a group without any comes as a pair of None."""
    return sorted({f"{app}.{codename}" for app, codename in permissions if app})


@cached_read(
    "user:preferences", needs=lambda p: [scope(UserPreferences, user=p["user_id"])], ttl="static", scope="user_id"
)
def preferences_of(*, user_id: int) -> Preferences:
    """What the user has chosen, or the defaults."""
    chosen = UserPreferences.objects.filter(user_id=user_id).first() or UserPreferences()
    return Preferences(chosen.theme, chosen.language, chosen.page_size, chosen.dashboard_days)


# Sessions


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session until `expires_at`. `data` is None where it holds more than who is signed in: that stays in the
    database, because it may be a secret (the token of a link that sets a new password, say)."""

    data: str | None
    expires_at: datetime


def session_salt(row_key: str) -> str:
    """Signed with it, the data of one session is no other session's."""
    return f"dashboard.sessions.{row_key}"


@cached_read("session:stored", needs=lambda p: [row(Session, p["row_key"])], ttl="session")
def stored_session(*, row_key: str) -> StoredSession:
    """The session whose row has that key (`dashboard.sessions.row_key`); raises Session.DoesNotExist."""
    found = Session.objects.get(pk=row_key)
    try:
        held = set(signing.loads(found.session_data, salt=session_salt(row_key), serializer=JSONSerializer))
    except BadSignature:
        held = set()  # It counts as empty; the reader finds out for itself.
    return StoredSession(found.session_data if held <= SIGNED_IN else None, found.expire_date)


# The home page


@cached_read("dashboard:home", needs=[], ttl="dashboard")
def home_figures(*, day: date, days_ahead: int, limits: Limits) -> HomeFigures:
    """The home page for everybody with these limits, on the local date `day`."""
    devices = equipment_counts(limits=limits)
    dates = maintenance_counts(day=day, days_ahead=days_ahead, completed_since=quarter_start(day), limits=limits)
    return HomeFigures(
        equipment=devices.equipment,
        in_service=devices.in_service,
        ppm=devices.ppm,
        ocm=devices.ocm,
        overdue=dates.overdue,
        due=dates.due,
        ahead=dates.ahead,
        days_ahead=days_ahead,
        completed_this_quarter=dates.completed,
        open_work_orders=open_work_orders(limits=limits),
        attention=overdue_maintenance(day=day, most=NEEDING_ATTENTION, limits=limits),
    )
