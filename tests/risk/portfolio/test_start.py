"""Starting the desk loads no numerical library: only measuring a portfolio does."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
HEAVY = ("numpy", "scipy", "sklearn", "pandas")
LOOK = """
import json, sys
import django
django.setup()
import tradingdesk.urls, tradingdesk.celery, orders.tasks, orders.manager
tradingdesk.celery.app.loader.import_default_modules()
at_start = [name for name in {heavy} if name in sys.modules]
import risk.portfolio.figures
print(json.dumps([at_start, [name for name in {heavy} if name in sys.modules]]))
"""


def test_web_and_workers_start_without_numpy(desk_env, own_sqlite_url):
    env = {**desk_env(own_sqlite_url, ""), "DJANGO_SETTINGS_MODULE": "tradingdesk.settings"}
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(heavy=HEAVY)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    at_start, later = json.loads(done.stdout.splitlines()[-1])
    assert at_start == []
    assert later == ["numpy", "scipy", "sklearn", *(["pandas"] if "pandas" in later else [])]
