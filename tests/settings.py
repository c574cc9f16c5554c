"""The desk's settings as tests use them: nothing of a real desk is read, written or sent."""

from tests import environment

environment.isolate()

from tradingdesk.settings import *  # noqa: E402, F403
from tradingdesk.settings import DATABASES  # noqa: E402

if environment.ENGINE == "sqlite":
    # A file, as in the embedded desk: threads wait for each other as they do there.
    DATABASES["default"]["TEST"] = {"NAME": str(environment.folder() / "test.db")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Every client makes its middleware anew: look for a static file when it is asked for, not for all of them each time.
WHITENOISE_AUTOREFRESH = True
