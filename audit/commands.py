"""Who a management command acts as."""

from contextlib import AbstractContextManager

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from audit.actors import Actor, acting_as


def add_user_option(parser: CommandParser) -> None:
    """Give a command the option `--user`."""
    parser.add_argument("--user", metavar="USERNAME", help=_("Record the changes as this user's."))


def acting_for(command: str, username: str | None = None) -> AbstractContextManager[None]:
    """Changes inside the block are recorded as those of the user, or else of the command.

    Raises CommandError for a user who does not exist or is not active.
    """
    if not username:
        return acting_as(Actor(name=f"command {command}"))
    user = get_user_model()._default_manager.filter(**{get_user_model().USERNAME_FIELD: username}).first()
    if user is None or not user.is_active:
        raise CommandError(_("There is no active user named %r.") % username)
    return acting_as(Actor.from_user(user))
