"""manage.py load_demo: fills an empty register with a fictional hospital and its history."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from tqdm import tqdm

from audit.commands import acting_for
from dashboard.demo import DemoRefused, Sizes, is_loaded, load, set_passwords
from dashboard.demo.loading import COMMAND, what_is_there
from dashboard.demo.people import SIGN_INS

SECONDS_BETWEEN_LINES = 5.0
LOOK_EVERY_ROWS = 1000


def whole_number(lowest: int, highest: int) -> Any:
    """A reader of option values that refuses what lies outside."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(_("%r is not a whole number") % text) from None
        if not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(
                _("%(number)d is not between %(lowest)d and %(highest)d")
                % {"number": number, "lowest": lowest, "highest": highest}
            )
        return number

    return read


def read_day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(_("%r is not a date like 2026-01-31") % text) from None
    if not date(2000, 1, 1) <= day <= timezone.localdate():
        raise argparse.ArgumentTypeError(_("%s lies in the future, or before 2000") % day)
    return day


class Command(BaseCommand):
    help = _("Fill an empty register with a fictional hospital and several years of its history.")

    def add_arguments(self, parser: CommandParser) -> None:
        sizes = Sizes()
        parser.add_argument(
            "--equipment", type=whole_number(1, 1_000_000), default=sizes.equipment, help=_("How many devices.")
        )
        parser.add_argument(
            "--work-orders",
            type=whole_number(0, 10_000_000),
            default=sizes.work_orders,
            help=_("How many work orders."),
        )
        parser.add_argument(
            "--years", type=whole_number(1, 20), default=sizes.years, help=_("How long the history is.")
        )
        parser.add_argument(
            "--seed", type=whole_number(0, 2**63 - 1), default=sizes.seed, help=_("Another number, another hospital.")
        )
        parser.add_argument("--today", type=read_day, help=_("The date the history ends before (default: today)."))
        parser.add_argument("--password", help=_("Of the demo users; default: DEMO_PASSWORD, else one that is made."))
        parser.add_argument(
            "--if-empty", action="store_true", help=_("Do nothing, silently, where the register is not empty.")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError(_("Demo data is not for production: it makes accounts with a known password."))
        given = options["password"] or settings.DEMO_PASSWORD
        with acting_for(COMMAND):
            if options["if_empty"] and what_is_there():
                if given and is_loaded() and set_passwords(password=given):
                    self.stdout.write(_("The demo users have the new password."))
                return
            self._load(options, given)

    def _load(self, options: dict[str, Any], given: str) -> None:
        began = time.monotonic()
        password = given or settings.GENERATED_DEMO_PASSWORD()
        sizes = Sizes(options["equipment"], options["work_orders"], options["years"], options["seed"])
        progress = Progress(self.stderr, quiet=options["verbosity"] < 1)
        try:
            summary = load(
                sizes=sizes,
                today=options["today"] or timezone.localdate(),
                password=password,
                follow=progress.follow,
            )
        except DemoRefused as refusal:
            if options["if_empty"]:
                return  # another one was faster
            raise CommandError(
                _("This register is not empty (%s): demo data goes into an empty one only.") % refusal
            ) from refusal
        except KeyboardInterrupt:
            raise CommandError(_("Interrupted: nothing was loaded."), returncode=130) from None
        if options["verbosity"] < 1:
            return
        for name, count in summary.counts.items():
            self.stdout.write(f"{count:>10,} {name}")
        self.stdout.write(_("Demo data loaded in %.1f seconds.") % (time.monotonic() - began))
        if options["if_empty"]:
            return  # who starts the site says who can sign in
        names = ", ".join(SIGN_INS)
        if given:
            self.stdout.write(_("Sign in as %s with the password given.") % names)
        else:
            self.stdout.write(
                _("Sign in as %(names)s with the password %(password)s") % {"names": names, "password": password}
            )


class Progress:
    """Tells how far a load is: a bar on a terminal, else a line every few seconds."""

    def __init__(self, output: Any, *, quiet: bool) -> None:
        self.output = output
        self.quiet = quiet

    def follow(self, rows: Iterable[Any], what: str, expected: int | None) -> Iterable[Any]:
        if self.quiet:
            return rows
        if self.output.isatty():
            return tqdm(rows, desc=what, total=expected, unit="", unit_scale=True, file=sys.stderr)
        return self._lines(rows, what, expected)

    def _lines(self, rows: Iterable[Any], what: str, expected: int | None) -> Iterator[Any]:
        said = time.monotonic()
        for number, row in enumerate(rows, start=1):
            yield row
            if number % LOOK_EVERY_ROWS == 0 and time.monotonic() - said >= SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                self.output.write(f"{what}: {number:,}" + (f" / {expected:,}" if expected else ""))
