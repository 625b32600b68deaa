"""How long the pages take on the database of the settings, whatever it holds: medians of several requests each.

    PLUMBLINE_VAR=… .venv/bin/python -m tests.measure_pages [--times 9] [--user admin]

It only reads. Load a database of the measuring size first (docs/demo-data.md).
"""

import argparse
import os
import statistics
import time

import django


def main() -> None:
    """Print a line per page: median and slowest time in milliseconds, and the number of queries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=9, help="requests per page, after one that is not counted")
    parser.add_argument("--user", default="admin", help="who asks")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    os.environ.setdefault("ALLOWED_HOSTS", "testserver")
    django.setup()

    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from equipment.models import Equipment

    client = Client()
    client.force_login(User.objects.get(username=options.user), backend="dashboard.authentication.CachedRightsBackend")
    try:
        device = Equipment.objects.visible_to(User.objects.get(username=options.user)).order_by("pk")[100]
        print(f"{connection.vendor}, as {options.user}, {Equipment.objects.count():,} pieces of equipment")
        for page in (
            "/",
            "/equipment/",
            "/equipment/?page=1000",
            "/equipment/?q=ventilator",
            "/equipment/ppm/",
            f"/equipment/{device.pk}/",
        ):
            seconds = []
            for _time in range(options.times + 1):
                began = time.perf_counter()
                with CaptureQueriesContext(connection) as queries:
                    answer = client.get(page)
                seconds.append(time.perf_counter() - began)
            if answer.status_code != 200:
                raise SystemExit(f"{page} answered {answer.status_code}")
            name = page.replace(str(device.pk), "<id>")
            median, slowest = statistics.median(seconds[1:]) * 1000, max(seconds[1:]) * 1000
            print(f"{name:32} {median:7.0f} ms (slowest {slowest:.0f}), {len(queries)} queries")
    finally:
        client.session.flush()


if __name__ == "__main__":
    main()
