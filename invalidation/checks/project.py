"""Whether the site caches anything past the engine, or declares what the engine cannot watch."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import models
from django.middleware.cache import CacheMiddleware, FetchFromCacheMiddleware, UpdateCacheMiddleware
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string

from invalidation.registry import registry

CACHE_TAG = re.compile(r"{%-?\s*(?:load\s+(?:[\w.]+\s+)*cache\b|cache\s)")
COMMENTED = re.compile(r"{% comment\b.*?{% endcomment %}|{#.*?#}|{% verbatim\b.*?{% endverbatim", re.DOTALL)
CACHING = (CacheMiddleware, FetchFromCacheMiddleware, UpdateCacheMiddleware)
DECORATORS_DEEP = 12


def check_project(**_kwargs: Any) -> list[CheckMessage]:
    """Uses of Django's own page and fragment caches, whose entries no write ends."""
    return [*_middleware(), *_templates(), *_views()]


def check_reads(**_kwargs: Any) -> list[CheckMessage]:
    """Cached reads that depend on a model of which no write is noticed."""
    return [
        Error(
            f"The cached read {read.name} depends on {model._meta.label}, which is not watched.",
            hint=f"Add watch({model.__name__}, …) to the caches.py of its app.",
            id="invalidation.E023",
        )
        for read in registry.reads()
        for model in _models_of(read.needs)
        if registry.watched((model._meta.concrete_model or model)._meta.db_table) is None
    ]


def _models_of(needs: Any) -> list[type[models.Model]]:
    """The models that needs are about; of a function, which wants parameters, those that it names."""
    if not callable(needs):
        return list(dict.fromkeys(need.model for need in needs))
    waiting: list[CodeType] = [needs.__code__] if isinstance(needs, FunctionType) else []
    found: dict[type[models.Model], None] = {}
    while waiting:
        code = waiting.pop()
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for name in code.co_names:
            named = needs.__globals__.get(name)
            if isinstance(named, type) and issubclass(named, models.Model):
                found[named] = None
    return list(found)


def _middleware() -> Iterator[CheckMessage]:
    for name in settings.MIDDLEWARE:
        try:
            found = import_string(name)
        except ImportError:
            continue
        if isinstance(found, type) and issubclass(found, CACHING):
            yield Error(
                f"MIDDLEWARE holds {name}, whose pages no write ends.",
                hint="Take it out; cache the page with invalidation.pages instead.",
                id="invalidation.E020",
            )


def _templates() -> Iterator[CheckMessage]:
    for path in sorted(_template_files()):
        text = COMMENTED.sub("", path.read_text(errors="replace"))
        if CACHE_TAG.search(text):
            yield Error(
                f"The template {path.name} uses {{% cache %}}, whose fragments no write ends.",
                hint="Declare a fragment and use {% fragment %} of the tag library `invalidation`.",
                obj=str(path),
                id="invalidation.E021",
            )


def _template_files() -> set[Path]:
    """The templates of the project and its own apps; those of installed packages are theirs to answer for."""
    engines: list[dict[str, Any]] = settings.TEMPLATES
    folders = {Path(folder) for engine in engines for folder in engine.get("DIRS", [])}
    folders |= {
        Path(config.path) / "templates" for config in apps.get_app_configs() if "site-packages" not in config.path
    }
    return {path for folder in folders for path in folder.rglob("*") if path.suffix in {".html", ".txt", ".xml"}}


def _views() -> Iterator[CheckMessage]:
    if not getattr(settings, "ROOT_URLCONF", ""):
        return
    for route, view in _routes(get_resolver(), ""):
        if _is_cached_by_django(view):
            yield Error(
                f"The view of {route or 'the root'} is cached by cache_page, and no write ends what it keeps.",
                hint="Cache it with invalidation.pages instead.",
                id="invalidation.E022",
            )


def _routes(resolver: URLResolver, start: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    for pattern in resolver.url_patterns:
        route = start + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern.callback
        else:
            yield from _routes(pattern, route)


def _is_cached_by_django(view: Callable[..., Any]) -> bool:
    """Whether a caching middleware is among what the view and its decorators hold on to."""
    dispatch = getattr(getattr(view, "view_class", None), "dispatch", None)
    waiting: list[tuple[Any, int]] = [(view, 0), (dispatch, 0)]
    seen: set[int] = set()
    while waiting:
        held, depth = waiting.pop()
        if isinstance(held, CACHING) or (isinstance(held, type) and issubclass(held, CACHING)):
            return True
        if isinstance(held, list | tuple):
            # method_decorator() keeps its decorators so.
            waiting += [(each, depth + 1) for each in held if isinstance(each, FunctionType)]
        if not isinstance(held, FunctionType) or id(held) in seen or depth > DECORATORS_DEEP:
            continue
        seen.add(id(held))
        for cell in held.__closure__ or ():
            try:
                waiting.append((cell.cell_contents, depth + 1))
            except ValueError:
                continue
        waiting.append((getattr(held, "__wrapped__", None), depth + 1))
    return False
