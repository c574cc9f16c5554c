"""The web process; its threads share one pool of database connections."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdesk.settings")
os.environ.setdefault("DESK_DB_POOL", "1")
application = get_wsgi_application()
