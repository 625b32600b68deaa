"""What the tests of rules share: entries that outlive every test, and a cache that is in use."""

from __future__ import annotations

from typing import Any

import pytest

A_DAY_SECONDS = 24 * 3600


@pytest.fixture(autouse=True)
def entries_live_long(settings: Any) -> None:
    """An entry that expired would be right for the wrong reason."""
    settings.CACHE_DEFAULT_TTL = A_DAY_SECONDS
    settings.CACHE_CLASS_TTLS = dict.fromkeys(settings.CACHE_CLASS_TTLS, A_DAY_SECONDS)
    settings.CACHE_FAMILY_TTLS = {}
