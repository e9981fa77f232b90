"""Django settings, derived from the typed environment in `env.py`; nothing is read from elsewhere."""

import contextlib
from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url

from server.common.logs import logging_config
from server.common.postgres import ALIVE, SESSION, ImpatientConnection
from server.settings.env import MAIL_PORTS, ROOT, read_environment, with_town

ENV = with_town(read_environment())

DEMO = ENV.mode == "demo"
DEBUG = ENV.debug
SECRET_KEY = ENV.secret_key or ("demo-only-signing-key-never-used-in-production" if DEMO else "")
ALLOWED_HOSTS = ENV.allowed_hosts or (["*"] if DEMO else [])
CSRF_TRUSTED_ORIGINS = ENV.trusted_origins

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "server.common",
    "server.vault",
    "server.audit",
    "server.people",
    "server.duties",
    "server.consent",
    "server.notify",
    "server.rooms",
    "server.alerts",
    "server.gateway",
    "server.review",
    "server.operate",
    "django.contrib.admin.apps.SimpleAdminConfig",  # after `operate`, whose templates come before its own
    "server.apps.WiringConfig",
]

MIDDLEWARE = [
    "server.operate.measuring.MeasureMiddleware",
    "server.common.middleware.RequestMiddleware",
    "server.common.headers.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "server.common.language.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "server.common.counting.DoorMiddleware",
]

ROOT_URLCONF = "server.urls"
ASGI_APPLICATION = "server.asgi.application"
APPEND_SLASH = False
TEMPLATES: list[dict[str, Any]] = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {}},
]

# --- database: SQLite embedded, PostgreSQL in production -------------------------------------------
DATABASES: dict[str, Any] = {}
if ENV.database_url:
    DATABASES["default"] = dj_database_url.parse(ENV.database_url)
else:
    with contextlib.suppress(OSError):  # an unwritable folder is told by the commands, in one line
        ENV.var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(ENV.var_dir / "samsnakk.sqlite3")}

ImpatientConnection.limit_s = ENV.db_timeout_s + 1  # the server's own limit comes first

EMBEDDED = DATABASES["default"]["ENGINE"].endswith("sqlite3")
if EMBEDDED:
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = {
        **ALIVE,
        **DATABASES["default"].get("OPTIONS", {}),
        # Parameters travel apart from the statement, so a failing statement in the server's log carries none.
        "server_side_binding": True,
        "prepare_threshold": 3,
        "connect_timeout": max(2, min(3, int(ENV.db_timeout_s))),
        "application_name": "samsnakk",
        "options": f"-c statement_timeout={int(ENV.db_timeout_s * 900)} -c timezone=UTC {SESSION}",
        "pool": {
            # Waiting for a connection, and for the check that it lives, share one limit: an answer comes within
            # one and a half of it, whatever has frozen.
            "connection_class": ImpatientConnection.within(ENV.db_timeout_s),
            "timeout": min(5.0, ENV.db_timeout_s / 2),
            # Waits between attempts to connect double: given up early, they begin anew with the next request, and
            # the end of a long outage is seen at once.
            "reconnect_timeout": 2,
            "min_size": 1,
            "max_size": ENV.db_pool + ENV.db_threads,
            "max_idle": 300,
        },
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "people.User"
KNOX_TOKEN_MODEL = "people.Session"  # noqa: S105 - a model's name

CHANNEL_LAYERS: dict[str, Any] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": ENV.redis_url}], "prefix": ENV.redis_prefix},
    }
    if ENV.redis_url
    else {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 10_000}}
}

# --- time and language ------------------------------------------------------------------------------
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "nb"
LANGUAGES = [("nb", "Norsk bokmål"), ("nn", "Norsk nynorsk"), ("en", "English")]
LOCALE_PATHS = [ROOT / "server" / "locale"]
USE_I18N = True

# --- mail: checkpoints to officers, and nothing else ----------------------------------------------------
_mail = urlsplit(ENV.email_url)
EMAIL_HOST = _mail.hostname or "localhost"
EMAIL_PORT = _mail.port or MAIL_PORTS.get(_mail.scheme, 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_mail.username or ""), unquote(_mail.password or "")
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.scheme == "smtp+tls", _mail.scheme == "smtps"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = ENV.audit_mail_from

# --- HTTP ---------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "no-referrer"
X_FRAME_OPTIONS = "DENY"
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "server.wiring.not_trusted"
# The middleware would look at every request; cookies are accepted in one place only, which enforces CSRF itself
# (server/people/authentication.py). A bearer token is sent by no browser on its own.
# The rest asks for what Django's admin site needs where people sign in to it; at ours they are in a session already
# (docs/decisions/0041-admin-site.md).
SILENCED_SYSTEM_CHECKS = ["security.W003", *(f"admin.E{code}" for code in (402, 404, 406, 408, 409, 410)), "admin.W411"]
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEMO
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_HTTPONLY = True
if not DEMO:  # bound to this very host, and to TLS, by its name: no other host of the domain can set it
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-samsnakk_admin", "__Host-samsnakk_csrf"
SECURE_SSL_REDIRECT = not DEMO
SECURE_HSTS_SECONDS = 0 if DEMO else 63_072_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEMO
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
if ENV.behind_tls:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["server.people.authentication.SessionTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "server.people.limits.WithinLimits",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["server.common.parsers.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "server.common.pagination.KeyCursorPagination",
    "DEFAULT_SCHEMA_CLASS": "server.common.schema.Schema",
    # OPTIONS would look the object up to say which fields it has: a door without a lock, and a look without a record.
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_THROTTLE_CLASSES": ["server.common.throttling.Throttle"],
    "EXCEPTION_HANDLER": "server.wiring.answer_problem",
    "UNAUTHENTICATED_USER": None,
    "PAGE_SIZE": 50,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {"TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Bearer"}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Samsnakk",
    "DESCRIPTION": "Rooms around and with a patient, under the patient's consent.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "ENUM_NAME_OVERRIDES": {
        "AlertOutcomeEnum": "server.alerts.deeds.OUTCOMES",
        "AlertStateEnum": "server.alerts.models.alerts.State",
        "EventOutcomeEnum": "server.review.api.events.OUTCOMES",
        "ConsentStateEnum": "server.consent.models.State",
        "ConsentMethodEnum": "server.consent.api.shapes.METHODS",
        "EvidenceMethodEnum": "server.consent.api.shapes.EVIDENCE",
        "DutyKindEnum": "server.duties.models.Kind",
        "FindingKindEnum": "server.review.api.findings.KINDS",
        "PersonKindEnum": "server.review.api.look_ups.KINDS",
        "FindingStateEnum": "server.review.api.findings.STATES",
        "SignInCodeStateEnum": "server.people.api.in_person.STATES",
        "ErasureStateEnum": "server.review.api.erasures.STATES",
        "ExportFormatEnum": "server.review.models.shields.Export.Format",
        "ExportKindEnum": "server.review.models.shields.Export.Kind",
        "ExportStateEnum": "server.review.models.shields.Export.State",
        "HeldFormatEnum": "server.review.held.orders.FORMATS",
        "MessageKindEnum": "server.rooms.posting.KINDS",
        "ProviderKindEnum": "server.people.api.sign_in.KINDS",
        "SignInReturnEnum": "server.people.api.sign_in.RETURNS",
        "MemberStateEnum": "server.rooms.serializers.MEMBER_STATES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "server.common.schema.say_problem_once",
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SERVERS": [],
}

LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = logging_config(level=ENV.log_level, style=ENV.log_format)
