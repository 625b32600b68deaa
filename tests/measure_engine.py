"""What the engine costs: medians in microseconds of a hit, a miss and a write, beside what they are compared with.

    .venv/bin/python -m tests.measure_engine [--times 2000] [--database postgresql]

It starts servers of its own and loads nothing; every line of a run can be compared with the others of the same run.
"""

import argparse
import logging
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import django

from project.processes import redis_server
from tests.servers import places, postgresql

SIZES = {"1 kB": 1_000, "20 kB": 20_000, "200 kB": 200_000}


def main() -> None:
    """Print a line per measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2000, help="how often each is done")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(places.run_folder())
        socket = stack.enter_context(redis_server.running(folder / "redis"))
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "PLUMBLINE_VAR": str(folder / "var"),
            "REDIS_URL": f"unix://{quote(str(socket))}?db=0",
            "CACHE_DEFAULT_TTL": "3600",
        }
        if options.database == "postgresql":
            os.environ["DATABASE_URL"] = stack.enter_context(postgresql.serving(folder))
        else:
            Path(folder / "var" / "data").mkdir(parents=True, exist_ok=True)
        django.setup()
        logging.disable(logging.CRITICAL)
        measure(options.times)


def measure(times: int) -> None:
    from django.core.cache import caches
    from django.core.management import call_command
    from django.db import connection

    from equipment.models import Equipment, Manufacturer, ServiceContract, WorkOrder
    from invalidation.models import Probe
    from invalidation.reads import CachedRead
    from invalidation.tags import sometimes, table
    from invalidation.testing import leave_quarantine

    call_command("migrate", verbosity=0)
    leave_quarantine()
    needs = [table(Manufacturer), *(sometimes(table(model)) for model in (Equipment, ServiceContract, WorkOrder))]
    print(f"{connection.vendor}, {times} times each, medians in microseconds")
    cache = caches["default"]
    for name, size in SIZES.items():

        def value(size: int = size) -> str:
            Manufacturer.objects.exists()
            return "x" * size

        def plain() -> str:
            return value()

        read = CachedRead(plain, f"measure:{size}", needs=needs)
        copied = CachedRead(plain, f"measure:local{size}", needs=needs, local=True)
        read(), copied(), copied()
        cache.set("measure", "x" * size)
        bare = median(lambda: cache.get("measure"), times)
        for what, found in (("hit with five tags", median(read, times)), ("the same, copied", median(copied, times))):
            print(f"{name:>7} {what:20} {found:7.0f}   django-redis get {bare:7.0f}   ratio {found / bare:.2f}")
        filled, asked = median(read.force_refresh, times // 4), median(read.bypass, times // 4)
        print(f"{name:>7} fill                 {filled:7.0f}   past the cache   {asked:7.0f}")
    probe = Probe.objects.create(name="measure", value=0)
    queries = Probe.objects.filter(pk=probe.pk)
    fenced = median(lambda: queries.update(value=1), times // 4)
    with without_watching(connection):
        free = median(lambda: queries.update(value=1), times // 4)
    print(f"        update of one watched row {fenced:.0f}, the same unwatched and not fenced {free:.0f}")


@contextmanager
def without_watching(connection: Any) -> Iterator[None]:
    """Inside the block statements pass as with Django's own backend."""
    watcher = connection.execute_wrappers.pop(0)
    try:
        yield
    finally:
        connection.execute_wrappers.insert(0, watcher)


def median(work: Callable[[], object], times: int) -> float:
    """In microseconds."""
    seconds = []
    for _time in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1e6


if __name__ == "__main__":
    main()
