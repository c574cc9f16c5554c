"""Real processes with secrets in every place at once: web, workers, beat and sandbox write none of them anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from redis import Redis

from tests import services
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.canaries.places import CREDENTIAL_KEY, canary, files_below, found_in
from tests.canaries.talkative import talkative_broker
from tests.environment import ROOT, manage
from tests.flows.conftest import migrated_env, new_desk
from tests.flows.running_desk import RunningDesk, descendants, eventually

__all__ = ["migrated_env", "new_desk"]
pytestmark = [pytest.mark.flow, pytest.mark.slow]

KEYS = {name: canary(name) for name in ("api_key", "secret_key")}
CONFIGURATION = """\
brokers:
  alpaca:
    allocation_percent: 0.4
    api_key: "${{API_KEY}}"
    secret_key: "${{SECRET_KEY}}"
    base_url: "{sandbox}"
  alpaca_margin:
    adapter: alpaca
    allocation_percent: 0.4
    api_key: "${{db:api_key}}"
    secret_key: "${{db:secret_key}}"
    base_url: "{sandbox}"
  talkative:
    adapter: alpaca
    allocation_percent: 0.2
    api_key: "${{BAD_API_KEY}}"
    secret_key: "${{db:bad_secret_key}}"
    base_url: "{talkative}"
risk:
  max_order_qty: 1000
  max_order_notional: 500000
  portfolio_risk_limit: 5000000
  max_broker_allocation: 1.0
  max_quote_age: 86400
"""


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[tuple[SandboxProcess, str]]:
    """The sandbox, whose accounts have canaries as keys, and the URL of a broker that repeats its keys."""
    folder = tmp_path / "venue"
    folder.mkdir()
    accounts = {"alpaca": KEYS, "alpaca_margin": {name: f"{value}2" for name, value in KEYS.items()}}
    with start_sandbox(folder, accounts=accounts) as sandbox, talkative_broker() as talkative:
        yield sandbox, talkative.url


@pytest.fixture
def variables(tmp_path: Path, venue) -> dict[str, str]:
    """The environment of a desk whose every secret is a canary."""
    sandbox, talkative = venue
    (tmp_path / "desk.yaml").write_text(CONFIGURATION.format(sandbox=sandbox.url, talkative=talkative))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "bad").write_text(canary("bad_api_key"))
    return {
        "DJANGO_SETTINGS_MODULE": "tests.canaries.running_settings",
        "DESK_CONFIG": str(tmp_path / "desk.yaml"),
        "DESK_LOG_LEVEL": "DEBUG",
        "DESK_DEBUG": "1",
        "DESK_SECRET_KEY": canary("django"),
        "DESK_CREDENTIAL_KEY": CREDENTIAL_KEY,
        "API_KEY": KEYS["api_key"],
        "SECRET_KEY": KEYS["secret_key"],
        "BAD_API_KEY_FILE": str(tmp_path / "secrets" / "bad"),
    }


@pytest.fixture
def servers(own_pg_url: str) -> Iterator[tuple[str, str]]:
    """PostgreSQL and Redis, both with a canary as the password."""
    if os.environ.get("TEST_REDIS_URL"):
        pytest.skip("a given Redis is not ours to set a password on")
    role, parts = f"canary_{os.getpid()}", urlsplit(own_pg_url)
    with psycopg.connect(own_pg_url, autocommit=True) as database, services.redis_server() as redis_url:
        secret = psycopg.sql.Literal(canary("database"))
        database.execute(psycopg.sql.SQL(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD {{}}").format(secret))
        Redis.from_url(redis_url).config_set("requirepass", canary("redis"))
        url = parts._replace(netloc=f"{role}:{quote(canary('database'), safe='')}@{parts.netloc.rpartition('@')[2]}")
        yield url.geturl(), redis_url.replace("://", f"://:{quote(canary('redis'), safe='')}@")
        database.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
        database.execute(f"DROP ROLE {role}")


def keep(env: dict[str, str]) -> None:
    """Put credentials into the desk's database, as an operator does."""
    manage("migrate", "--verbosity=0", env=env)
    values = {**{name: f"{value}2" for name, value in KEYS.items()}, "bad_secret_key": canary("bad_secret_key")}
    for name, value in values.items():
        command = [sys.executable, "manage.py", "set_credential", name]
        done = subprocess.run(command, cwd=ROOT, env=env, input=value, text=True, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert found_in(done.stdout + done.stderr) == set()


def order(desk: RunningDesk, name: str, key: str) -> None:
    body = {"symbol": "IBM", "side": "buy", "order_qty": "1", "ord_type": "market", "broker_name": name}
    status, answer = desk.call("POST", "/api/v1/orders/", body | {"client_order_id": key})
    assert status in (201, 422), answer


def fail(desk: RunningDesk) -> str:
    """Have the web process fail, a thread of it, and a worker; the page."""
    with pytest.raises(HTTPError) as failure:
        urllib.request.urlopen(f"{desk.url}/fail/?task=1", timeout=30)
    page = failure.value.read().decode()
    eventually(lambda: "caught in task" in desk.log, "the worker fails, too")
    return page


def shown_by(desk: RunningDesk, sandbox: SandboxProcess) -> dict[str, set[str]]:
    """Where a canary can be seen: output, files, command lines, and what the desk answers."""
    texts = {"desk's log": desk.log, "sandbox's log": sandbox.log}
    texts |= {"commands": "\n".join(descendants(desk.process.pid).values())}
    texts |= files_below(desk.data, besides=("secret_key",))
    for path in ("/api/v1/orders/", "/api/v1/brokers/", "/api/v1/audit/events/", "/api/v1/config/history/"):
        texts[path] = str(desk.all(path))
    for path in ("/readyz", "/metrics"):
        try:
            texts[path] = urllib.request.urlopen(f"{desk.url}{path}", timeout=30).read()
        except HTTPError as answer:
            texts[path] = answer.read()
    return {name: found for name, text in texts.items() if (found := found_in(text))}


def trade_and_fail(desk: RunningDesk, sandbox: SandboxProcess) -> None:
    """Trade with every account, have every kind of process fail, and find no canary."""
    desk.start()
    for name in ("alpaca", "alpaca_margin", "talkative"):
        order(desk, name, f"to-{name}")
    for name in ("alpaca", "alpaca_margin"):
        desk.order_in(f"to-{name}", "filled")
    page = fail(desk)
    assert "RuntimeError" in page
    assert found_in(page) == set()
    eventually(
        lambda: "refuses the keys (access key *** *** not authorized)" in desk.log, "the talkative broker is heard"
    )
    assert shown_by(desk, sandbox) == {}


def test_embedded_desk_shows_no_canary_and_trades_on_without_the_key(migrated_env, variables, venue, new_desk):
    env = migrated_env(**variables)
    keep(env)
    desk = new_desk(env)
    trade_and_fail(desk, venue[0])
    assert desk.stop() == 0

    del desk.env["DESK_CREDENTIAL_KEY"]
    desk.start()
    order(desk, "alpaca", "still-trading")
    desk.order_in("still-trading", "filled")
    order(desk, "alpaca_margin", "not-sent")
    assert desk.order("not-sent")["status"] in ("pending", "denied")
    assert "brokers.alpaca_margin.api_key: set DESK_CREDENTIAL_KEY in the environment" in desk.log
    assert shown_by(desk, venue[0]) == {}


@pytest.mark.server
def test_processes_on_servers_with_passwords_show_no_canary(desk_env, servers, variables, venue, new_desk):
    database_url, redis_url = servers
    env = desk_env(database_url, redis_url, **variables)
    keep(env)
    desk = new_desk(env)
    trade_and_fail(desk, venue[0])
    with psycopg.connect(database_url) as database:
        names = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = {name: repr(database.execute(f'SELECT * FROM "{name}"').fetchall()) for (name,) in names}
    assert {name: found for name, text in rows.items() if (found := found_in(text))} == {}
    redis = Redis.from_url(redis_url)
    assert {key for key in redis.scan_iter() if found_in(redis.dump(key) or b"")} == set()
    assert list(redis.scan_iter("celery-task-meta-*")) == []
    assert desk.stop() == 0
