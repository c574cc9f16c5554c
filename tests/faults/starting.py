"""From an empty database to a desk that takes orders; to be imported once Django is set up."""

import io
from contextlib import ExitStack
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from brokers.gateway import close_gateways
from brokers.registry import adapter_class
from tests.brokers.sandbox_process import SandboxProcess
from tests.faults.accounts import ACCOUNTS
from tests.faults.matrix import Matrix
from tests.faults.plan import Plan
from tests.faults.running import FaultyDesk
from tradingdesk.config.record import load
from tradingdesk.queues import broker_queue
from tradingdesk.running.first_user import ensure_first_user


def start(plan: Plan, folder: Path, env: dict[str, str], sandbox: SandboxProcess, stack: ExitStack) -> Matrix:
    """Prepare the database, start the desk, and see to its end when the stack is left."""
    call_command("migrate", verbosity=0, interactive=False)
    load(settings.DESK_CONFIG, actor="system:desk", reason="the fault matrix")
    for account in ACCOUNTS:
        call_command("sync_broker", account.name, stdout=io.StringIO())
    close_gateways()  # a TWS lets a client id in once: from here on it is the worker's
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    desk = FaultyDesk(folder, env, [broker_queue(account.name) for account in ACCOUNTS])
    ensure_first_user(settings.DATA_DIR / "credentials.json", desk.url)
    stack.callback(desk.kill)
    desk.start()
    return Matrix(plan, desk, sandbox, _streaming())


def _streaming() -> set[str]:
    """Accounts that the desk hears by a stream."""
    return {account.name for account in ACCOUNTS if adapter_class(account.kind).capabilities.streaming}
