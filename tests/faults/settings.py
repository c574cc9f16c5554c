"""The desk's own settings on a database that can kill its process at a commit (`crashing_postgresql`)."""

from tradingdesk.settings import *  # noqa: F403
from tradingdesk.settings import DATABASES

DATABASES["default"]["ENGINE"] = "tests.faults.crashing_postgresql"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
