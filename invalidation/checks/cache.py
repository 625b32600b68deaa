"""Whether `CACHES["default"]` is a cache the engine can believe: what the settings alone tell."""

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

DEFAULT_SERIALIZER = "django_redis.serializers.pickle.PickleSerializer"


def check_cache(**_kwargs: Any) -> list[CheckMessage]:
    """What is wrong with the settings of the cache.

    Asked with CACHE_ENABLED off too: the writes of such a process are fenced for those that read through the cache.
    """
    default = settings.CACHES.get("default", {})
    if not _is(default.get("BACKEND", ""), "django_redis.cache.RedisCache"):
        return [
            Error(
                f"CACHES['default'] is {default.get('BACKEND', 'missing')}, on which entries cannot be proven fresh.",
                hint="Use django_redis.cache.RedisCache, with CACHE_ENABLED off too: writes are fenced in any case.",
                id="invalidation.E001",
            )
        ]
    return [*_pool(default), *_topology(default), *_serializers(), *_shared_pools(), *_cautions(default)]


def _options(cache: dict[str, Any]) -> dict[str, Any]:
    return cache.get("OPTIONS") or {}


def _pool(default: dict[str, Any]) -> list[CheckMessage]:
    if _is(_options(default).get("CONNECTION_POOL_CLASS", ""), "invalidation.connections.EnginePool"):
        return []
    return [
        Error(
            "The connections of CACHES['default'] do not know which run of the server they lead to.",
            hint='Set OPTIONS["CONNECTION_POOL_CLASS"] to "invalidation.connections.EnginePool".',
            id="invalidation.E002",
        )
    ]


def _topology(default: dict[str, Any]) -> list[CheckMessage]:
    options = _options(default)
    names = [str(options.get(name, "")) for name in ("CLIENT_CLASS", "REDIS_CLIENT_CLASS")]
    names += [str(options.get("CONNECTION_FACTORY", "")), str(getattr(settings, "DJANGO_REDIS_CONNECTION_FACTORY", ""))]
    words = {word for name in names for word in ("Sentinel", "Cluster", "Herd", "Shard") if word in name}
    locations = default.get("LOCATION", "")
    count = len(locations) if isinstance(locations, list | tuple) else len(str(locations).split(","))
    if not words and count <= 1 and "SENTINELS" not in options:
        return []
    found = ", ".join(sorted(words)) or f"{count} servers"
    return [
        Error(
            f"CACHES['default'] leads to more than one Redis ({found}): entries and fences have to live on one.",
            hint="Give LOCATION the address of a single primary and use django_redis.client.DefaultClient.",
            id="invalidation.E003",
        )
    ]


def _serializers() -> list[CheckMessage]:
    return [
        Error(
            f"CACHES[{alias!r}] reads pickles: whoever can write to that Redis can run code here.",
            hint='Set OPTIONS["SERIALIZER"] to "django_redis.serializers.json.JSONSerializer".',
            id="invalidation.E004",
        )
        for alias, cache in settings.CACHES.items()
        if _is(cache.get("BACKEND", ""), "django_redis.cache.RedisCache")
        and _is(_options(cache).get("SERIALIZER", DEFAULT_SERIALIZER), DEFAULT_SERIALIZER)
    ]


def _shared_pools() -> list[CheckMessage]:
    """django-redis keeps one pool per address: whichever alias is used first decides which pool that is."""
    default = settings.CACHES["default"]
    return [
        Error(
            f"CACHES[{alias!r}] has the address of CACHES['default'] and would give it its own pool of connections.",
            hint=f"Give {alias!r} the same CONNECTION_POOL_CLASS, or another address (another ?db= is enough).",
            id="invalidation.E005",
        )
        for alias, cache in settings.CACHES.items()
        if alias != "default"
        and _is(cache.get("BACKEND", ""), "django_redis.cache.RedisCache")
        and cache.get("LOCATION") == default.get("LOCATION")
        and not _is(_options(cache).get("CONNECTION_POOL_CLASS", ""), "invalidation.connections.EnginePool")
    ]


def _cautions(default: dict[str, Any]) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not default.get("KEY_PREFIX"):
        found.append(
            checks.Warning(
                "CACHES['default'] has no KEY_PREFIX: two sites on one Redis would use each other's entries.",
                hint="Set KEY_PREFIX to a name of this site's own.",
                id="invalidation.W001",
            )
        )
    options = _options(default)
    pool_options = options.get("CONNECTION_POOL_KWARGS") or {}
    if not (options.get("SOCKET_TIMEOUT") or pool_options.get("socket_timeout")):
        found.append(
            checks.Warning(
                "CACHES['default'] waits for a silent Redis without end, and every read with it.",
                hint='Set OPTIONS["SOCKET_TIMEOUT"] and OPTIONS["SOCKET_CONNECT_TIMEOUT"] to a second.',
                id="invalidation.W002",
            )
        )
    return found


def _is(name: Any, wanted: str) -> bool:
    """Whether a class, or the name of one, is the wanted class or made from it."""
    try:
        given = import_string(name) if isinstance(name, str) and name else name
        return isinstance(given, type) and issubclass(given, import_string(wanted))
    except (ImportError, ImproperlyConfigured):
        return False
