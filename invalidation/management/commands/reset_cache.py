"""manage.py reset_cache: makes what is stored unreadable at once, all of it or one scope, and removes it."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from tqdm import tqdm

from invalidation import home, metrics, scanning, sweeping
from invalidation.exceptions import StoreError
from invalidation.registry import registry
from invalidation.resetting import reset
from invalidation.store import store

TAG_START = "tag:"
KEYS_OF_ONE_STEP = 500


class Command(BaseCommand):
    help = _(
        "Reset the cache: entries stored so far are not read again. Sessions, limits, counters and keys of other "
        "programs stay as they are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--scope",
            default="",
            metavar="FAMILY|tag:TAG",
            help=_("A family of cached reads, such as equipment, or tag: and a tag; without it everything."),
        )
        parser.add_argument(
            "--move-here",
            action="store_true",
            help=_("Make the Redis of this environment the one that every process of this site has to use."),
        )

    def handle(self, *args: Any, scope: str, move_here: bool, verbosity: int, **options: Any) -> None:
        if move_here and scope:
            raise CommandError(_("--move-here resets everything: it takes no --scope."))
        began = time.monotonic()
        try:
            self._require_known(scope)
            if move_here:
                home.adopt()
            else:
                reset(scope or None)
            milliseconds = (time.monotonic() - began) * 1000
            self._remove(scope, shows_progress=verbosity > 0 and self.stderr.isatty())
        except StoreError as error:
            metrics.note_failed_operation(f"reset of {scope or 'everything'}", error)
            raise CommandError(
                _("Redis did not do as asked, and what is stored may still be read: %s") % error
            ) from error
        if verbosity > 0:
            self.stdout.write(
                _("%(scope)s was reset in %(milliseconds).1f ms, and the entries of before are removed.")
                % {"scope": scope or _("Everything"), "milliseconds": milliseconds}
            )

    def _require_known(self, scope: str) -> None:
        """A scope that is misspelt would reset nothing, and say that all is well."""
        if scope.startswith(TAG_START):
            tag = scope.removeprefix(TAG_START)
            table = metrics.table_of(tag)
            if registry.watched(table) is None and not store().command("EXISTS", store().names.tag(tag)).value:
                raise CommandError(_("Nothing depends on the tag %s.") % tag)
        elif scope and scope not in registry.families():
            known = ", ".join(registry.families()) or "-"
            raise CommandError(
                _("There is no family %(scope)s; there are: %(known)s.") % {"scope": scope, "known": known}
            )

    def _remove(self, scope: str, *, shows_progress: bool) -> None:
        """Free the memory of what is dead; an entry that was stored anew meanwhile may go too, which costs a miss."""
        if scope.startswith(TAG_START):
            sweeping.sweep()
            return
        with tqdm(unit=_(" entries"), disable=not shows_progress, file=self.stderr) as progress:
            for batch in scanning.batches(scanning.entry_keys(scope), KEYS_OF_ONE_STEP):
                progress.update(int(store().command("UNLINK", *batch).value))
