"""Which version of the site's code and texts is running.

What a template renders has no shape that would tell an older text from a newer one, so keys of rendered things carry
this instead.
"""

import sys
from functools import cache
from hashlib import blake2b
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.template import engines

DIGEST_BYTES = 12
ENDINGS = frozenset({".py", ".html", ".txt", ".xml", ".mo"})
INSTALLED_IN = frozenset({"site-packages", "dist-packages"})
NOT_SERVED = frozenset({"tests", "__pycache__"})


def release() -> str:
    """INVALIDATION_RELEASE, or where that is empty a digest of the site's own code, templates and translations.

    Processes that run the same files agree on it. It stays the same while a process lives; ask once at its start, or
    a process could take the name of files that replaced those it runs.
    """
    return getattr(settings, "INVALIDATION_RELEASE", "") or _digest_of_the_files()


def forget(**_signal: Any) -> None:
    """Look at the files anew: for `django.utils.autoreload.file_changed`, as an edited template restarts nothing."""
    _digest_of_the_files.cache_clear()


@cache
def _digest_of_the_files() -> str:
    digest = blake2b(sys.version.encode(), digest_size=DIGEST_BYTES)
    for package in sorted(f"{found.name}=={found.version}" for found in distributions()):
        digest.update(package.encode())
    for path in sorted(_files()):
        content = path.read_bytes()
        digest.update(f"{path.parent.name}/{path.name}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def _files() -> set[Path]:
    """The files that decide what a page says; packages that were installed are told by their versions instead."""
    found = {
        path
        for folder in _folders()
        for path in folder.rglob("*")
        if path.suffix in ENDINGS and not NOT_SERVED.intersection(path.parts) and path.is_file()
    }
    names_of_static_files = Path(getattr(settings, "STATIC_ROOT", None) or "") / "staticfiles.json"
    return found | ({names_of_static_files} if names_of_static_files.is_file() else set())


def _folders() -> set[Path]:
    folders = {Path(config.path) for config in apps.get_app_configs()}
    folders |= {Path(folder) for each in engines.all() for folder in each.dirs}
    folders |= {Path(folder) for folder in settings.LOCALE_PATHS}
    wiring = sys.modules.get(settings.ROOT_URLCONF.partition(".")[0])
    if wiring is not None and wiring.__file__:
        folders.add(Path(wiring.__file__).parent)
    return {folder for folder in folders if not INSTALLED_IN.intersection(folder.parts)}
