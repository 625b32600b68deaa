"""manage.py verify_cache: recomputes what is stored and compares, before anything is touched; 1 on a difference."""

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils.translation import gettext as _

from invalidation import conf, metrics, probing, scanning, verification
from invalidation.exceptions import StoreError
from invalidation.probing import Step
from invalidation.registry import registry
from invalidation.verification import DEAD, DIFFERENT, SAME, UNKNOWN, Verdict

LONGEST_VALUE_SHOWN = 1000


class Command(BaseCommand):
    help = _(
        "Recompute stored entries from the database and compare them. Nothing is changed; the exit status is 1 if "
        "anything differs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--family", default="", help=_("Only the entries of this family of cached reads."))
        parser.add_argument("--user", metavar="NAME", help=_("Only the entries that belong to this user."))
        parser.add_argument(
            "--flow", action="store_true", help=_("Show each step of a cycle of reads and a write, on a scratch row.")
        )
        parser.add_argument(
            "--visible",
            action="store_true",
            help=_(
                "Change a scratch row in every way there is, and read it at once, here and over another connection."
            ),
        )

    def handle(self, *args: Any, family: str, user: str | None, flow: bool, visible: bool, **options: Any) -> None:
        if not conf.is_enabled():
            raise CommandError(_("CACHE_ENABLED is off: every read asks the database."))
        try:
            key = self._key_of(user) if user else None
            self._require_known(family)
            wrong = self._compare(family, key, options["verbosity"])
            if flow:
                wrong += self._steps(_("A cycle, step by step:"), probing.cycle())
            if visible:
                wrong += self._steps(_("Visible at once:"), probing.visibility())
        except (StoreError, DatabaseError) as error:
            metrics.note_failed_operation("verify_cache", error)
            raise CommandError(_("The comparison could not be finished: %s") % error, returncode=2) from error
        if wrong:
            sys.exit(1)

    def _key_of(self, name: str) -> Any:
        model = get_user_model()
        found = model._default_manager.filter(**{model.USERNAME_FIELD: name}).values_list("pk", flat=True).first()
        if found is None:
            raise CommandError(_("There is no user %s.") % name)
        return found

    def _require_known(self, family: str) -> None:
        if family and family not in registry.families() and next(scanning.entry_keys(family), None) is None:
            raise CommandError(
                _("There is no family %(scope)s; there are: %(known)s.")
                % {"scope": family, "known": ", ".join(registry.families()) or "-"}
            )

    def _compare(self, family: str, user: Any, verbosity: int) -> int:
        """Print what differs; returns how many entries do."""
        outcomes: Counter[str] = Counter()
        for verdict in verification.verify(family=family, user=user):
            outcomes[verdict.outcome] += 1
            if verdict.outcome == DIFFERENT:
                self._show_difference(verdict)
            elif verbosity > 1:
                self.stdout.write(
                    f"{verdict.outcome:9} {verdict.seconds * 1000:8.2f} ms  {verdict.key}  {verdict.reason}"
                )
        self.stdout.write(
            _("%(same)d entries are right, %(different)d differ; %(dead)d are not read any more, %(unknown)d unknown.")
            % {name: outcomes[name] for name in (SAME, DIFFERENT, DEAD, UNKNOWN)}
        )
        return outcomes[DIFFERENT]

    def _show_difference(self, verdict: Verdict) -> None:
        self.stdout.write(self.style.ERROR(_("Different: %s") % verdict.key))
        self.stdout.write(_("  stored:   %s") % _short(verdict.stored))
        self.stdout.write(_("  database: %s") % _short(verdict.computed))
        explanation = verdict.explanation
        if explanation is not None:
            self.stdout.write(_("  stored at %s, on the stamps of:") % explanation.filled_at)
            for state in explanation.tags:
                last = state.causes[0].what if state.causes else _("no write within the last hour")
                self.stdout.write(f"    {state.tag}  ({last})")

    def _steps(self, title: str, steps: Iterable[Step]) -> int:
        """Print each step; returns how many came out wrong."""
        self.stdout.write(title)
        wrong = 0
        for step in steps:
            parts = "".join(f"  {name} {seconds * 1000:.2f} ms" for name, seconds in step.parts)
            line = f"  {step.seconds * 1000:8.2f} ms  {step.outcome:9}  {step.what}{parts}"
            if step.is_right:
                self.stdout.write(line)
            else:
                wrong += 1
                self.stdout.write(self.style.ERROR(line))
                self.stdout.write(
                    _("    committed: %(expected)s, read: %(found)s")
                    % {"expected": list(step.expected), "found": list(step.found)}
                )
        return wrong


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE_SHOWN else f"{text[:LONGEST_VALUE_SHOWN]}… ({len(text)})"
