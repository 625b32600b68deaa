"""Who is signed in and what they may do, read through the cache: what was changed counts on the next request."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User

from dashboard.caches import ACCOUNT_FIELDS, Account, Rights, account_of, rights_of

NO_RIGHTS = Rights(own=(), by_group=())


class CachedRightsBackend(ModelBackend):
    """Django's own, but the user and the permissions of a request are cached reads.

    Signing in asks the database. A user that comes from here knows what Account holds; any other field, the password
    among them, is read from the database when it is first asked for, and never written back unasked.
    """

    def get_user(self, user_id: Any) -> User | None:
        account = account_of(user_id)
        if account is None or not account.is_active:
            return None
        return _user_of(account)

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set(_rights(user_obj, obj).own)

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set(_rights(user_obj, obj).by_group)


def _rights(user: Any, obj: Any) -> Rights:
    """As Django has it: asked for once per instance, which lives for one request; none about single objects."""
    if not user.is_active or user.is_anonymous or obj is not None:
        return NO_RIGHTS
    if not hasattr(user, "_rights"):
        user._rights = rights_of(user.pk, is_superuser=user.is_superuser)
    found: Rights = user._rights
    return found


def _user_of(account: Account) -> User:
    """The user with the fields of the account, all others deferred."""
    names = [field.attname for field in User._meta.concrete_fields if field.attname in ACCOUNT_FIELDS]
    user: User = User.from_db(User.objects.db, names, [getattr(account, name) for name in names])

    # A password that was set or read since stands for itself.

    def session_hash() -> str:
        return account.session_hash if _password_is_deferred(user) else User.get_session_auth_hash(user)

    def has_usable_password() -> bool:
        return account.has_password if _password_is_deferred(user) else User.has_usable_password(user)

    user.get_session_auth_hash = session_hash  # type: ignore[method-assign]
    user.has_usable_password = has_usable_password  # type: ignore[method-assign]
    return user


def _password_is_deferred(user: User) -> bool:
    return "password" in user.get_deferred_fields()
