"""Settings of the desk: production differs from development by environment only.

With nothing set the desk keeps everything under `data/`: SQLite, a file-system message queue and
its own secret key. `DATABASE_URL` and `REDIS_URL` turn the same code into separate processes on
PostgreSQL and Redis. Bad values fail at start, naming the variable.
"""

import logging.config
import os
import secrets
import sys
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from tradingdesk.config.location import database_url
from tradingdesk.config.servers import database_settings, password_of
from tradingdesk.queues import file_transport
from tradingdesk.redaction.known import remember
from tradingdesk.redaction.logs import redact_everything_said
from tradingdesk.running.surroundings import adopt

redact_everything_said()
BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()


def _own_secret_key(path: Path) -> str:
    """Read the embedded desk's secret key, making it (mode 0600) on the first run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


DATA_DIR = Path(env.str("DESK_DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
adopt(DATA_DIR)
DESK_CONFIG = Path(env.str("DESK_CONFIG", default=str(BASE_DIR / "config" / "desk.yaml")))
# Backups belong on another disk, or are copied there; archives of old history are listed in each.
DESK_BACKUP_DIR = Path(env.str("DESK_BACKUP_DIR", default=str(DATA_DIR / "backups")))
DESK_ARCHIVE_DIR = Path(env.str("DESK_ARCHIVE_DIR", default=str(DATA_DIR / "archives")))
DESK_PG_BIN = env.str("DESK_PG_BIN", default="")  # where pg_dump and pg_restore are, if not along PATH
DESK_BASE_CURRENCY = env.str("DESK_BASE_CURRENCY", default="USD").upper()  # what the portfolio's risk is told in
DESK_BETA_BENCHMARK = env.str("DESK_BETA_BENCHMARK", default="SPY").upper()  # what beta-adjusted exposure is told by
REDIS_URL = env.str("REDIS_URL", default="")
DATABASE_URL = env.str("DATABASE_URL", default="")
try:
    _database = DATABASE_URL or database_url(DESK_CONFIG, root=BASE_DIR, data=DATA_DIR)
except (OSError, ValueError, LookupError) as error:
    raise ImproperlyConfigured(f"database.url: {error}") from None  # its causes quote the file
if not _database.startswith("sqlite"):
    DATABASE_URL = _database  # a server, named by the file; SQLite in the file is still the embedded desk
EMBEDDED = not DATABASE_URL and not REDIS_URL
PORT = env.int("PORT", default=8000)

DEBUG = env.bool("DESK_DEBUG", default=False)
# `manage.py desk` starts every process there is, and hands its key on.
_one_machine = EMBEDDED or sys.argv[1:2] == ["desk"]
SECRET_KEY = env.str("DESK_SECRET_KEY", default="") or (
    _own_secret_key(DATA_DIR / "secret_key") if _one_machine else ""
)
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "DESK_SECRET_KEY: set it (50 or more random characters) when DATABASE_URL or REDIS_URL is set"
    )
ALLOWED_HOSTS = env.list("DESK_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("DESK_TRUSTED_ORIGINS", default=[])
if env.bool("DESK_HTTPS", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = env.int("DESK_HSTS_SECONDS", default=3600)

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "tradingdesk",
    "brokers",
    "risk",
    "orders",
    "analytics",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "tradingdesk.middleware.RequestIdMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "tradingdesk.urls"
WSGI_APPLICATION = "tradingdesk.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# SQLite: WAL and IMMEDIATE are what makes concurrent writers wait instead of fail.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA busy_timeout=20000;"
    "PRAGMA foreign_keys=ON;PRAGMA mmap_size=134217728;PRAGMA cache_size=-20000",
}
DATABASES = {"default": database_settings(_database or f"sqlite:///{DATA_DIR / 'trading.db'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
    DATABASES["default"]["CONN_MAX_AGE"] = None
else:
    # Statements are prepared on the server after a few uses: half the server's work per order. Set
    # DESK_DB_PREPARE=0 behind a pooler that shares sessions between transactions.
    options = DATABASES["default"].setdefault("OPTIONS", {})
    if env.bool("DESK_DB_PREPARE", default=True):
        options.update(server_side_binding=True, prepare_threshold=5)
    if env.bool("DESK_DB_POOL", default=False):
        # Web and thread workers share a pool; a prefork worker must not (a fork with an open pool hangs).
        options["pool"] = {"min_size": 1, "max_size": env.int("DESK_DB_POOL_SIZE", default=20), "timeout": 10}
    else:
        # Celery's beat lets go of old connections many times a second: each new one costs the server milliseconds.
        DATABASES["default"].update(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)
remember(SECRET_KEY, DATABASES["default"].get("PASSWORD", ""), *password_of("REDIS_URL", REDIS_URL))
DEFAULT_EXCEPTION_REPORTER = "tradingdesk.redaction.reports.DiscreetReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "tradingdesk.redaction.reports.DiscreetFilter"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["tradingdesk.access.OneQueryBackend"]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
DATETIME_FORMAT = "Y-m-d H:i:s"
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
if EMBEDDED:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# Celery: the message is a wake-up, the row is the queue; so results are not kept.
CELERY_BROKER_URL = REDIS_URL or "files://localhost"
CELERY_BROKER_TRANSPORT = None if REDIS_URL else "tradingdesk.file_queue:Transport"
# A wake-up that its worker took along when it was killed is no loss, so Redis keeps no second list of those.
CELERY_BROKER_TRANSPORT_OPTIONS = {"ack_emulation": False} if REDIS_URL else file_transport(DATA_DIR / "queue")
CELERY_WORKER_ENABLE_REMOTE_CONTROL = bool(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "desk"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_DB_REUSE_MAX = 100

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tradingdesk.access.KeptTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["tradingdesk.http.DeskPermissions"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["tradingdesk.http.ExactJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["tradingdesk.reading.StrictFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "tradingdesk.reading.SeekPagination",
    # Requests of one user, such as "6000/min"; without a figure nothing is counted.
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": env.str("DESK_API_RATE", default="") or None},
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "tradingdesk.http.exception_handler",
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Trading desk",
    "DESCRIPTION": "One desk over all brokers: orders, positions, risk and the audit trail.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "tradingdesk.openapi.describe_errors",
    ],
    "ENUM_NAME_OVERRIDES": {
        "Side": "tradingdesk.fix.Side",
        "OrdType": "tradingdesk.fix.OrdType",
        "TimeInForce": "tradingdesk.fix.TimeInForce",
        "OrderClass": "tradingdesk.fix.OrderClass",
        "OrdStatus": "tradingdesk.fix.OrdStatus",
        "Scope": "risk.models.Scope",
        "HaltedScope": "risk.models.HaltedScope",
    },
}

# What the apps above the ground tell about themselves: /readyz asks the checks, /metrics the gauges.
READINESS_CHECKS = {
    "database": "tradingdesk.health.database",
    "brokers": "brokers.monitoring.brokers_answer",
    "workers": "orders.monitoring.requests_flow",
}
METRICS = ["brokers.monitoring.gauges", "risk.monitoring.gauges", "orders.monitoring.gauges"]

UNFOLD = {
    "SITE_TITLE": "Trading desk",
    "SITE_HEADER": "Trading desk",
    "SITE_SYMBOL": "candlestick_chart",
    "SHOW_HISTORY": False,
    "DASHBOARD_CALLBACK": "analytics.dashboard.dashboard_callback",
    "SIDEBAR": "tradingdesk.sidebar.sidebar",
    "STYLES": ["tradingdesk.backoffice.assets.stylesheet"],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "tradingdesk.backoffice.assets.favicon"}],
    "SITE_URL": "tradingdesk.backoffice.assets.index",
    "COLORS": {"primary": "tradingdesk.backoffice.assets.primary_colours"},
}

# The configuration record applies each section of desk.yaml through the app that owns it.
CONFIG_SECTIONS = {
    "brokers": "orders.configuration.Section",
    "database": "tradingdesk.config.database.Section",
    "risk": "risk.configuration.Section",
    "rebalancing": "orders.rebalancing.configuration.Section",
    "halt_triggers": "risk.triggers.Section",
    "schedule": "tradingdesk.schedule.section.Section",
}
# What beat does without a word in the configuration's `schedule:`; migrations make the rows.
SCHEDULE = {
    "Read what is due at the brokers": {"task": "orders.tasks.dispatch_syncs", "every": 1},
    "Wake workers for what no wake-up reached": {"task": "orders.tasks.sweep", "every": 2},
    "Carry out halts, and trip those that triggers call for": {"task": "orders.tasks.watch_halts", "every": 2},
    "Compare the desk with the brokers": {"task": "orders.tasks.dispatch_reconciliations", "every": 60},
    "Watch losses": {"task": "risk.tasks.watch_losses", "every": 5},
    "Weigh what is held and entered": {"task": "risk.tasks.refresh_measures", "every": 60},
    "Propose to rebalance": {"task": "orders.tasks.propose_rebalancing", "every": 60},
    "Place what rebalances": {"task": "orders.tasks.advance_rebalancing", "every": 5},
    "Close orders that nobody approved in time": {"task": "orders.tasks.expire_approvals", "every": 5},
    "Back the desk up": {
        "task": "tradingdesk.tasks.back_up_desk",
        "crontab": "15 2 * * *",
        "kwargs": {"keep_days": 14, "keep_at_least": 3},
    },
}

LOGGING_CONFIG = None
LOG_LEVEL = env.str("DESK_LOG_LEVEL", default="INFO")
logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "tradingdesk.redaction.logs.RedactingFormatter",
                "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": LOG_LEVEL},
        "loggers": {
            "django.request": {"level": "ERROR"},
            "celery": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
            "waitress": {"level": "WARNING"},
            "alpaca": {"level": "WARNING"},
            "ib_async": {"level": "WARNING"},
            "django.template": {"level": "INFO"},  # at DEBUG a traceback for each variable that a page does not have
            "websockets": {"level": "WARNING"},  # at DEBUG it tells frames in part: keys, too, and not findable
            "waitress.queue": {"level": "ERROR"},  # a request that waits for a thread is no event
        },
    }
)
