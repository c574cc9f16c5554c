"""The desk's own settings, and a view and a task that fail with secrets in their hands."""

from tradingdesk.settings import *  # noqa: F403

ROOT_URLCONF = "tests.canaries.failing"
CELERY_IMPORTS = ["tests.canaries.failing"]
