"""The web process; its threads share one pool of database connections."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdesk.settings")
os.environ.setdefault("DESK_DB_POOL", "1")
application = get_wsgi_application()
# Every page and endpoint is imported now rather than while the first order waits.
import_module(settings.ROOT_URLCONF)
