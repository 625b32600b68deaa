"""manage.py cache_stats: what is stored, what the cache did today, and what stands in its way."""

import json
from argparse import ArgumentTypeError
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from invalidation import conf, counters, metrics, statistics
from invalidation.exceptions import StoreError
from invalidation.statistics import FamilyFigures, Figures

MIB = 1024 * 1024
TITLES = (
    *("family", "entries", "KiB", "hits", "misses", "bypasses", "fills", "refused", "errors", "ended"),
    *("hit %", "hit ms", "fill ms"),
)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(_("{text} is no day: one is written like 2030-01-31").format(text=text)) from error


class Command(BaseCommand):
    help = _("Show the families of cached reads with their counters of a day, memory, fences, epoch and outbox.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help=_("Print everything as JSON, histograms included."))
        parser.add_argument(
            "--day",
            type=_day,
            help=_("The counters of this day (UTC, like 2030-01-31) instead of today."),
        )

    def handle(self, *args: Any, day: date | None, **options: Any) -> None:
        if not conf.is_enabled():
            raise CommandError(_("CACHE_ENABLED is off: every read asks the database."))
        text = day.isoformat() if day else ""
        try:
            figures = statistics.gather(text)
            tallies = counters.shared_counters(text)
        except StoreError as error:
            metrics.note_failed_operation("cache_stats", error)
            raise CommandError(_("Redis does not answer: %s") % error) from error
        if options["json"]:
            self.stdout.write(json.dumps(as_plain(figures, tallies), indent=2, default=str))
        else:
            self._show(figures)

    def _show(self, figures: Figures) -> None:
        for line in table(TITLES, [row_of(family) for family in figures.families]):
            self.stdout.write(line)
        if figures.tables:
            self.stdout.write("")
            for line in table(("table", "changes"), [(name, str(count)) for name, count in figures.tables.items()]):
                self.stdout.write(line)
        memory = figures.memory
        allowed = f"{memory['maxmemory'] / MIB:.0f} MiB" if memory["maxmemory"] else _("no limit")
        self.stdout.write("")
        self.stdout.write(
            _("Memory of Redis: %(used).1f MiB of %(allowed)s, %(policy)s; evicted %(evicted)d, expired %(expired)d.")
            % {
                "used": memory["used_memory"] / MIB,
                "allowed": allowed,
                "policy": memory["maxmemory_policy"],
                "evicted": memory["evicted_keys"],
                "expired": memory["expired_keys"],
            }
        )
        state = _("in quarantine, the database answers") if figures.is_quarantined else _("in use")
        self.stdout.write(_("Epoch: %(epoch)s (%(state)s).") % {"epoch": figures.epoch or "-", "state": state})
        self.stdout.write(
            _("Fences standing: %(fences)d; indexes with dead entries: %(dead)d.")
            % {"fences": len(figures.fences), "dead": figures.dead_indexes}
        )
        for tag, tokens in sorted(figures.fences.items()):
            self.stdout.write(f"  {tag}: {', '.join(tokens)}")
        for alias, number in figures.outbox.items():
            self.stdout.write(_("Outbox of %(alias)s: %(number)d.") % {"alias": alias, "number": number})


def row_of(figures: FamilyFigures) -> tuple[str, ...]:
    rate = figures.hit_rate
    counts = (
        figures.hits,
        figures.misses,
        figures.bypasses,
        figures.fills,
        figures.refused_fills,
        figures.errors,
        figures.invalidations,
    )
    return (
        figures.family,
        str(figures.entries),
        f"{figures.bytes / 1024:.1f}",
        *map(str, counts),
        "-" if rate is None else f"{rate * 100:.1f}",
        *(
            "-" if seconds is None else f"{seconds * 1000:.2f}"
            for seconds in (figures.hit_seconds, figures.fill_seconds)
        ),
    )


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with the first column to the left and numbers to the right, as wide as they need to be."""
    lines = [tuple(titles), *map(tuple, rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(titles))]
    return [
        "  ".join(
            [line[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]


def as_plain(figures: Figures, tallies: counters.Counters) -> dict[str, Any]:
    """All figures as JSON takes them; each histogram has the upper bounds of its buckets in seconds."""
    found = asdict(figures)
    for family, plain in zip(figures.families, found["families"], strict=True):
        plain["hit_rate"] = family.hit_rate
        plain["latencies"] = {
            event: {"count": tally.count, "seconds": tally.seconds, "buckets": tally.buckets}
            for (name, event), tally in tallies.items()
            if name == family.family
        }
    found["bucket_bounds_seconds"] = list(counters.BUCKETS)
    return found
