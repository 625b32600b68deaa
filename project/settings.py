"""The settings of one installation, all of them read from the environment (docs/settings.md lists each)."""

from functools import partial
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from invalidation.conf import Embedded
from project import environment, places

BASE_DIR = places.BASE_DIR
VAR_DIR = places.var_dir()

ENVIRONMENT = environment.choice("PLUMBLINE_ENV", ("development", "testing", "production"), "development")
PRODUCTION = ENVIRONMENT == "production"
DEBUG = environment.boolean("DEBUG", False)
if DEBUG and PRODUCTION:
    raise ImproperlyConfigured("DEBUG=1 shows settings and source to every visitor: it cannot be on in production")


def secret_key() -> str:
    """SECRET_KEY; outside production it may be kept in `var/secret_key`, made at first use for this user alone."""
    if PRODUCTION:
        key = environment.required("SECRET_KEY", "production takes its secrets from the environment only")
        if len(key) < 50 or len(set(key)) < 5:
            raise ImproperlyConfigured("SECRET_KEY is too easy to guess: use 50 random characters or more")
        return key
    return environment.text("SECRET_KEY") or places.kept_secret("secret_key")


SECRET_KEY = secret_key()
SECRET_KEY_FALLBACKS = environment.words("SECRET_KEY_FALLBACKS")

ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", [] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]"])
if PRODUCTION and not ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS is not set: name the hosts this site answers for, separated by commas")
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "audit",
    "locations",
    "equipment",
    "analyses",
    "dashboard",
    "dashboard.admin_site.PlumblineAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "django.forms",
    "axes",
    "csp",
    "invalidation",  # last: it closes its registry when every app has declared what it watches and caches
]

MIDDLEWARE = [
    "project.requests.HealthMiddleware",
    "project.requests.ClientAddressMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "invalidation.middleware.VisitMiddleware",
    "csp.middleware.CSPMiddleware",
    "dashboard.middleware.PrivatePagesMiddleware",
    "invalidation.middleware.RefusedWriteMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "project.requests.RequestSizeMiddleware",
    "audit.middleware.ActorMiddleware",
    "dashboard.middleware.SignInMiddleware",
    "dashboard.middleware.PreferencesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.context_processors.page",
            ],
        },
    },
]
FORM_RENDERER = "dashboard.rendering.PageRenderer"

# Database

DATABASE_URL = environment.text("DATABASE_URL", "sqlite:///data/plumbline.sqlite3")
DB_POOL_MIN_SIZE = environment.integer("DB_POOL_MIN_SIZE", 10)
DB_POOL_MAX_SIZE = environment.integer("DB_POOL_MAX_SIZE", 30, minimum=1)
DB_POOL_TIMEOUT = environment.integer("DB_POOL_TIMEOUT", 30, minimum=1)
if DB_POOL_MIN_SIZE > DB_POOL_MAX_SIZE:
    raise ImproperlyConfigured("DB_POOL_MIN_SIZE is greater than DB_POOL_MAX_SIZE")


def database_settings() -> dict[str, Any]:
    """The database of DATABASE_URL with the options each kind needs to be safe under several writers."""
    database = environment.database(DATABASE_URL, VAR_DIR)
    # Django's own backends with the gate at which writes are fenced.
    database["ENGINE"] = database["ENGINE"].replace("django.db.backends.", "invalidation.backends.")
    options = database.setdefault("OPTIONS", {})
    if database["ENGINE"].endswith("sqlite3"):
        if Path(database["NAME"]).is_relative_to(VAR_DIR):
            places.make_private(Path(database["NAME"]).parent)
        # IMMEDIATE: a transaction that reads first and writes later would otherwise fail at once when another
        # writer was faster, whatever the timeout. FULL: a committed row survives a power cut.
        options |= {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;",
        }
    # Only the web server keeps a pool (project/wsgi.py says so): a pool is lost in a process that forks after its
    # first query, and a command needs one connection.
    elif environment.boolean("DB_POOL", False):
        # A thread has one connection at a time: more of them than threads would lie idle and be missed elsewhere.
        most = environment.integer("WEB_THREADS", DB_POOL_MAX_SIZE, minimum=1)
        options["pool"] = {
            "min_size": min(DB_POOL_MIN_SIZE, most),
            "max_size": min(DB_POOL_MAX_SIZE, most),
            "timeout": DB_POOL_TIMEOUT,
        }
    return {**database, "CONN_MAX_AGE": 0, "ATOMIC_REQUESTS": False}


DATABASES = {"default": database_settings()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Cache

CACHE_ENABLED = environment.boolean("CACHE_ENABLED", True)
REDIS_URL = environment.redis_url(places.redis_socket())
INVALIDATION_EMBEDDED = (
    Embedded(places.redis_socket(), places.redis_lock()) if environment.uses_embedded_redis() else None
)
# What becomes of a write when Redis cannot be told of it: it is refused, or it proceeds with a durable note.
INVALIDATION_ON_FAILURE = environment.choice("INVALIDATION_ON_FAILURE", ("refuse", "proceed"), "refuse")
# A forgotten dependency raises; in production the value is returned and not stored.
INVALIDATION_STRICT = not PRODUCTION
# For staff in any case.
INVALIDATION_SERVER_TIMING = ENVIRONMENT == "development"
# Once a second, by a thread: in tests that would be one more client of a Redis whose troubles they watch.
INVALIDATION_SHARE_COUNTERS = ENVIRONMENT != "testing"
CACHE_DEFAULT_TTL = environment.integer(
    "CACHE_DEFAULT_TTL", {"development": 10, "testing": 5, "production": 300}[ENVIRONMENT]
)


def ttl(variable: str, in_production: int) -> int:
    """The seconds of a class of entries: its variable, or the default of the environment, or of production."""
    return environment.integer(variable, in_production if PRODUCTION else min(in_production, CACHE_DEFAULT_TTL))


CACHE_CLASS_TTLS = {
    "dashboard": ttl("CACHE_DASHBOARD_TTL", 300),
    "occupancy": ttl("CACHE_OCCUPANCY_TTL", 600),
    "report": ttl("CACHE_REPORT_TTL", 900),
    "list": ttl("CACHE_LIST_TTL", 300),
    "static": ttl("CACHE_STATIC_TTL", 24 * 3600),
    "session": ttl("CACHE_SESSION_TTL", 12 * 3600),
    "realtime": ttl("CACHE_REALTIME_TTL", 0),
}
# Where one is not set, the family's class says how long.
CACHE_FAMILY_TTLS = {
    family: seconds
    for family, seconds in {
        "user": environment.integer("CACHE_USER_TTL", -1, minimum=-1),
        "location": environment.integer("CACHE_LOCATION_TTL", -1, minimum=-1),
    }.items()
    if seconds >= 0
}
CACHES: dict[str, dict[str, Any]] = {
    # There also with CACHE_ENABLED=0: reads then ask the database, and writes are fenced for those that do not.
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "TIMEOUT": CACHE_DEFAULT_TTL,
        "KEY_PREFIX": "plumbline",
        "OPTIONS": {
            "CONNECTION_POOL_CLASS": "invalidation.connections.EnginePool",
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",  # never pickle: it runs what it reads
            "SOCKET_CONNECT_TIMEOUT": 0.25,
            "SOCKET_TIMEOUT": 0.5,
        },
    }
}

# People

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "dashboard.authentication.CachedRightsBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = reverse_lazy("sign_in")
LOGIN_REDIRECT_URL = reverse_lazy("home")
LOGOUT_REDIRECT_URL = reverse_lazy("sign_in")
PASSWORD_RESET_TIMEOUT = 60 * 60
SESSION_ENGINE = "dashboard.sessions"
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_SAVE_EVERY_REQUEST = False

# Guessing is stopped per account and address together, so that a stranger cannot lock a colleague out of theirs.
AXES_FAILURE_LIMIT = 8
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = 0.25  # hours
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_DISABLE_ACCESS_LOG = True
AXES_LOCKOUT_TEMPLATE = "registration/locked_out.html"
AXES_HTTP_RESPONSE_CODE = 429
AXES_VERBOSE = False

# Language and time

LANGUAGES = [("en", _("English")), ("de", _("German"))]
LANGUAGE_CODE = environment.choice("LANGUAGE_CODE", tuple(code for code, _name in LANGUAGES), "en")
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = environment.time_zone("TIME_ZONE", "UTC")

# Files

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 0 if DEBUG else 3600

# Uploaded files are never under an address of their own: a view hands them out to those who may see them.
MEDIA_ROOT = VAR_DIR / "media"
FILE_UPLOAD_TEMP_DIR = places.make_private(VAR_DIR / "tmp")
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000
UPLOAD_MAX_BYTES = environment.integer("UPLOAD_MAX_MEGABYTES", 20, minimum=1) * 1024 * 1024

# Mail

EMAIL_HOST = environment.text("EMAIL_HOST")
# A log is read by more people than a mailbox, and a message may hold a link that sets a new password: production
# without a mail server sends nothing at all, and says so when it starts.
MAIL_WAY = "smtp" if EMAIL_HOST else "dummy" if PRODUCTION else "console"
EMAIL_BACKEND = f"django.core.mail.backends.{MAIL_WAY}.EmailBackend"
EMAIL_PORT = environment.integer("EMAIL_PORT", 587, 1, 65535)
EMAIL_HOST_USER = environment.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = environment.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = environment.boolean("EMAIL_USE_TLS", True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = environment.text("DEFAULT_FROM_EMAIL", "plumbline@localhost")

# Transport and browser

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = environment.boolean("SECURE_SSL_REDIRECT", PRODUCTION)
SECURE_HSTS_SECONDS = environment.integer("SECURE_HSTS_SECONDS", 365 * 24 * 3600 if PRODUCTION else 0)
# Both speak for every host below this one, and a preloaded name stays for months: a hospital's domain has others
# there, which this site cannot answer for. So W005 and W021, which want them on, are not heeded.
SECURE_HSTS_INCLUDE_SUBDOMAINS = environment.boolean("SECURE_HSTS_INCLUDE_SUBDOMAINS", False)
SECURE_HSTS_PRELOAD = environment.boolean("SECURE_HSTS_PRELOAD", False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# Believed only when the operator says that a proxy sets them: otherwise any client could claim to use TLS, or to be
# somebody else (project/requests.py reads X-Forwarded-For).
BEHIND_TLS_PROXY = environment.boolean("BEHIND_TLS_PROXY", False)
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        # Tabler's stylesheet carries its small pictures (a check mark, a chevron) as data: addresses.
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    },
}

# Logging

LOG_LEVEL = environment.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"level": LOG_LEVEL, "handlers": [], "propagate": True},
        # Otherwise every query is printed with LOG_LEVEL=DEBUG.
        "django.db.backends": {"level": "INFO"},
        "axes": {"level": "WARNING"},
    },
}

# Demo data

DEMO_PASSWORD = environment.text("DEMO_PASSWORD")
# Called where DEMO_PASSWORD is empty, so that no secret is made before it is needed.
GENERATED_DEMO_PASSWORD = partial(places.kept_secret, "demo_password", 12)

TEST_RUNNER = "django.test.runner.DiscoverRunner"
