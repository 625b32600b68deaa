"""manage.py explain_cache: why a read hits or not, which write ended it, and what a change of an object ends."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from invalidation import explanations, metrics, parameters, scanning
from invalidation.causes import Cause
from invalidation.exceptions import InvalidationError, StoreError
from invalidation.explanations import Explanation, TagState
from invalidation.registry import registry
from invalidation.store import store


class Command(BaseCommand):
    help = _("Explain one cached read, one stored entry, or what a change of an object would end.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", default="", help=_("A cached read, such as equipment:list."))
        parser.add_argument("parameters", nargs="*", metavar="key=value", help=_("Its parameters."))
        parser.add_argument("--key", help=_("An entry by its key in Redis, or by the part of it after the prefix."))
        parser.add_argument(
            "--object", nargs=2, metavar=("app.Model", "PK"), help=_("The entries that a change of this row would end.")
        )
        parser.add_argument("--json", action="store_true", help=_("Print as JSON."))

    def handle(self, *args: Any, **options: Any) -> None:
        if sum(map(bool, (options["name"], options["key"], options["object"]))) != 1:
            raise CommandError(_("Give one of: the name of a read with its parameters, --key, --object."))
        try:
            if options["object"]:
                self._explain_object(*options["object"], as_json=options["json"])
            else:
                self._show(self._explained(**options), as_json=options["json"])
        except StoreError as error:
            metrics.note_failed_operation("explain_cache", error)
            raise CommandError(_("Redis does not answer: %s") % error) from error
        except InvalidationError as error:
            raise CommandError(str(error)) from error

    def _explained(self, *, key: str | None, name: str, **options: Any) -> Explanation:
        if key:
            start = f"{store().names.prefix}:"
            return explanations.explain(key if key.startswith(start) else start + key)
        read = registry.read(name)
        found: Explanation = read.explain(**parameters.of(read, options["parameters"]))
        return found

    def _explain_object(self, label: str, pk: str, *, as_json: bool) -> None:
        tags = explanations.tags_of_object(explanations.object_of(label, pk))
        states = explanations.tag_states(tags)
        keys = explanations.entries_depending_on(tags)
        if as_json:
            self.stdout.write(json.dumps({"tags": [asdict(state) for state in states], "entries": keys}, default=str))
            return
        self.stdout.write(_("A change of this row touches:"))
        for state in states:
            self.stdout.write(f"  {state.tag}")
        self.stdout.write(
            ngettext("It would end %d stored entry:", "It would end %d stored entries:", len(keys)) % len(keys)
        )
        for key in keys:
            self.stdout.write(f"  {key}  [{scanning.family_of(key)}]")
        last = max((cause for state in states for cause in state.causes), key=lambda cause: cause.at, default=None)
        if last is not None:
            self.stdout.write(_("The last write that touched these tags: %s") % described(last))

    def _show(self, found: Explanation, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({**asdict(found), "holds": found.holds}, default=str))
            return
        self.stdout.write(_("Key: %s") % found.key)
        if found.name:
            self.stdout.write(_("Read: %(name)s %(params)s") % {"name": found.name, "params": found.params})
        if found.filled_at:
            self.stdout.write(
                _("Stored at %(at)s, kept for %(ttl)s, right until %(until)s")
                % {
                    "at": found.filled_at.isoformat(),
                    "ttl": "-" if found.ttl_seconds is None else f"{found.ttl_seconds:.0f} s",
                    "until": found.until.isoformat() if found.until else _("a write ends it"),
                }
            )
        self.stdout.write(_("The next read is a hit.") if found.holds else _("No hit: %s.") % found.reason)
        if found.ended_by is not None:
            text = _("Ended by: %s") if found.is_stored else _("The last write it depends on: %s")
            self.stdout.write(text % described(found.ended_by))
        for note in found.notes:
            self.stdout.write(note)
        self.stdout.write(_("Depends on:"))
        for state in found.tags:
            self.stdout.write(f"  {state.tag}  {state_in_words(state)}")
            for fence in state.fences:
                self.stdout.write(_("    fence: %s") % fence)


def described(cause: Cause) -> str:
    return f"{cause.what} ({cause.at.isoformat()}, {cause.seconds * 1000:.1f} ms)"


def state_in_words(state: TagState) -> str:
    """The stamp now, beside that of the entry if there is one."""
    if not state.stored:
        return state.present or "-"
    mark = _("same") if state.is_same else _("fenced") if state.fences else _("other")
    return f"{state.stored} → {state.present or '-'}  ({mark})"
