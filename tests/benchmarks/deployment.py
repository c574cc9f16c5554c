"""The desk as it runs in production, on this machine: `manage.py desk` on a durable PostgreSQL and a Redis."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import yaml

from tests import environment, services
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.flows.running_desk import RunningDesk, eventually

ACCOUNTS = {"alpaca": "ALPACA", "alpaca_margin": "ALPACA_MARGIN"}
# The bare SDK's orders go to accounts of their own: the desk adopts whatever it finds at its own.
BARE_ACCOUNTS = ("bare", "bare_too")
LATENCY_MS = 20
# Enough for any number of orders: what is measured is work, not refusals.
PLENTY = 10**9
PRICES = {"IBM": ("181.90", "182.00"), "BAC": ("13.80", "13.81")}
MAKE_TRADER = """
from django.contrib.auth.models import Group, User
from rest_framework.authtoken.models import Token
user = User.objects.create_user("bench")
user.groups.set(Group.objects.filter(name="trader"))
print("token:" + Token.objects.create(user=user).key)
"""
# What the processes are, by a word of their command lines.
ROLES = {"web": "gunicorn", "brokers' worker": "brokers@%h", "desk's worker": "desk@%h", "beat": "DatabaseScheduler"}
READ = """
    SELECT count(*) FROM broker_accounts
    WHERE status = 'active' AND EXISTS (SELECT FROM listings WHERE listings.broker_name = broker_accounts.broker_name)
"""


@dataclass
class Deployment:
    """A running desk. `spare_url` and `spare_env` are of a database with the same tables where nobody works."""

    url: str
    token: str
    database_url: str
    spare_url: str
    spare_env: Mapping[str, str]
    sandbox: SandboxProcess
    roles: dict[str, psutil.Process]

    def cpu_seconds(self) -> dict[str, float]:
        """What each role, with all its children, has used of the processors so far."""
        return {role: _cpu_seconds(process) for role, process in self.roles.items()}

    @contextmanager
    def sending_stopped(self) -> Iterator[None]:
        """Keep the brokers' worker from running inside the block; what it has to do waits."""
        worker = self.roles["brokers' worker"]
        worker.suspend()
        try:
            yield
        finally:
            worker.resume()


@contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    """Start everything that an order passes, wait until the brokers are read, and end it with the block."""
    with ExitStack() as stack:
        server_url = stack.enter_context(services.postgres_server(durable=True))
        roles = {"postgresql": _newest_child()}
        redis_url = stack.enter_context(services.redis_server())
        roles["redis"] = _newest_child()
        sandbox = stack.enter_context(start_sandbox(folder, speed=0, verbosity=0, accounts=_accounts()))
        roles["sandbox"] = psutil.Process(sandbox.pid)
        for symbol, (bid, ask) in PRICES.items():
            sandbox.admin.push_quote(symbol, bid, ask, PLENTY, PLENTY)
        spare_url = stack.enter_context(services.fresh_database(server_url))
        spare_env = _environment(folder, spare_url, services.fresh_redis(redis_url), sandbox)
        environment.manage("migrate", "--verbosity=0", env=spare_env)
        database_url = stack.enter_context(services.fresh_database(server_url, template=spare_url.rpartition("/")[2]))
        env = _environment(folder, database_url, redis_url, sandbox)
        desk = RunningDesk(folder, env)
        stack.callback(lambda: desk.process and desk.stop())
        desk.start()
        with psycopg.connect(database_url, autocommit=True) as database:
            eventually(lambda: database.execute(READ).fetchone()[0] == len(ACCOUNTS), "the brokers are read")
        token = environment.manage("shell", "--verbosity=0", "-c", MAKE_TRADER, env=env).rpartition("token:")[2].strip()
        roles |= {role: _child(desk.process.pid, word) for role, word in ROLES.items()}
        yield Deployment(desk.url, token, database_url, spare_url, spare_env, sandbox, roles)


def _accounts() -> dict[str, dict]:
    about = {"latency_ms": LATENCY_MS, "starting_cash": PLENTY, "rate_limit_per_minute": PLENTY}
    bare = {name: about | {"api_key": name, "secret_key": "opens-nothing"} for name in BARE_ACCOUNTS}
    return dict.fromkeys(ACCOUNTS, about) | bare


def _environment(folder: Path, database_url: str, redis_url: str, sandbox: SandboxProcess) -> dict[str, str]:
    config = folder / "desk.yaml"
    config.write_text(yaml.safe_dump(_configuration()), encoding="utf-8")
    more = {"DESK_CONFIG": str(config), "DESK_LOG_LEVEL": "WARNING", "SANDBOX_URL": sandbox.url}
    for account, prefix in ACCOUNTS.items():
        more[f"{prefix}_API_KEY"], more[f"{prefix}_SECRET_KEY"] = sandbox.keys(account)
    return environment.desk_env(folder / "data", database_url, redis_url, **more)


def _configuration() -> dict:
    """The desk's own configuration of ACCOUNTS, with limits that stop nothing; the sandbox's quotes stand still."""
    settings = yaml.safe_load((environment.ROOT / "config" / "desk.yaml").read_text(encoding="utf-8"))
    settings["brokers"] = {name: settings["brokers"][name] for name in ACCOUNTS}
    for name, share in zip(ACCOUNTS, (0.7, 0.3), strict=True):
        settings["brokers"][name]["allocation_percent"] = share
    settings["risk"] = {
        "max_order_qty": PLENTY,
        "max_order_notional": PLENTY,
        "portfolio_risk_limit": PLENTY,
        "max_broker_allocation": 1,
        "max_quote_age": PLENTY,
        "max_quote_lag": PLENTY,
    }
    return settings


def _child(pid: int, word: str) -> psutil.Process:
    """The process below the desk that has a word in its command line; not those that it started in turn."""
    return next(child for child in psutil.Process(pid).children() if word in " ".join(child.cmdline()))


def _newest_child() -> psutil.Process | None:
    """The process that was started last; None when a server was given and none was started."""
    return max(psutil.Process().children(), key=lambda child: child.create_time(), default=None)


def _cpu_seconds(process: psutil.Process | None) -> float:
    total = 0.0
    for one in [process, *process.children(recursive=True)] if process else []:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
