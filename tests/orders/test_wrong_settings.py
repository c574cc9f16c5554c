"""An account that is set up wrongly: one clear line with the fix wherever a person looks, and the other trades on."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from io import StringIO
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.urls import reverse

from brokers import gateway
from brokers.breaker import FAILURES_IN_A_ROW
from brokers.models import AccountHealth, BrokerAccount
from orders import sending, sync, sync_now, wakeups
from orders.models import Order
from risk.rulebook import forget
from tests.brokers.sandbox_process import SandboxProcess
from tests.factories import trading_desk
from tests.orders.desk import submit
from tradingdesk.fix import OrdStatus

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
GOOD = "alpaca"
ANOTHER = {"api_key": "AKWRONG", "secret_key": "nonsense"}


@pytest.fixture(autouse=True)
def _afresh(monkeypatch):
    monkeypatch.setattr(sync, "_readers", {})
    forget()
    yield
    gateway.close_gateways()
    forget()


@pytest.fixture(scope="module")
def nobody() -> int:
    """A port where nothing listens."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def stranger() -> Iterator[int]:
    """The port of a program that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def alpaca(sandbox: SandboxProcess, name: str = GOOD, **settings) -> dict:
    api_key, secret_key = sandbox.keys(name)
    return {"api_key": api_key, "secret_key": secret_key, "base_url": sandbox.url, "stream": False} | settings


def tws(sandbox: SandboxProcess, **settings) -> dict:
    found = {"port": sandbox.tws_port(), "account_id": sandbox.tws_account_id(), "client_id": 601, "symbols": ["IBM"]}
    return found | {"connect_timeout": 1} | settings


WRONG = {
    "keys": (
        "alpaca",
        {"api_key": "X", "secret_key": "nonsense"},
        "refuses the keys .*valid ones of this paper account",
    ),
    "live keys": ("alpaca", ANOTHER, "refuses the keys .*look like live keys, but paper_trading is true"),
    "live place": (
        "alpaca",
        {"base_url": "https://api.alpaca.markets"},
        "not configured: base_url: https://api.alpaca.markets is not for paper_trading: true; change one of the two",
    ),
    "port": ("alpaca", {"base_url": "http://127.0.0.1:{nobody}"}, "nothing answers at .*refused.*check base_url"),
    "account": ("alpaca", {"account_id": "PA42"}, "the keys are of account SBX.*, not of PA42: set account_id"),
    "gateway down": ("interactive_brokers", {"port": "{nobody}"}, "nothing answers at .*start TWS or IB Gateway"),
    "other port": ("interactive_brokers", {"port": "{stranger}"}, "does not greet as TWS does: is it another program"),
    "other account": (
        "interactive_brokers",
        {"account_id": "DU7654321"},
        "account DU7654321 is not of this login, which has DU1000001: set account_id",
    ),
    "live port": ("interactive_brokers", {"port": 4001}, "not configured: port: 4001 is for real money"),
    "live account": (
        "interactive_brokers",
        {"account_id": "U12345"},
        "not configured: account_id: U12345 does not start",
    ),
}


@pytest.fixture(params=sorted(WRONG))
def line(request, sandbox, nobody, stranger, wakings) -> str:
    """A desk whose second account has something wrong in its settings; what has to be said of it."""
    adapter, mistakes, expected = WRONG[request.param]
    ports = {"nobody": nobody, "stranger": stranger}
    mistakes = {key: value.format(**ports) if isinstance(value, str) else value for key, value in mistakes.items()}
    mistakes = {key: int(value) if key == "port" else value for key, value in mistakes.items()}
    good, bad = trading_desk(GOOD, adapter if adapter != "alpaca" else "alpaca_margin")
    good.settings = alpaca(sandbox)
    settings = alpaca(sandbox, "alpaca_margin") if adapter == "alpaca" else tws(sandbox)
    bad.adapter, bad.settings = adapter, settings | mistakes
    good.save(), bad.save()
    sandbox.admin.clear()
    sandbox.admin.push_quote("IBM", "182.44", "182.46")
    return expected


def bad() -> BrokerAccount:
    return BrokerAccount.objects.exclude(pk=GOOD).get()


def checked() -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError, match="1 of 2 accounts did not answer"):
        call_command("check_brokers", stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_wrong_settings_are_told_in_one_line_and_the_other_account_trades_on(line, caplog, client):
    out, err = checked()
    assert out.startswith(f"{GOOD}: account SBX")
    assert re.fullmatch(f"{bad()}: .*{line}.*\n", err), err

    for _ in range(FAILURES_IN_A_ROW):
        assert not sync_now.sync_now(bad().pk)
        sync._readers[bad().pk].rest_until = None  # a broker that asks for a pause gets it
    told = [record.getMessage() for record in caplog.records if record.name == "orders.sync"]
    assert len(told) == 1, told
    assert re.search(line, told[0])

    health = AccountHealth.objects.get(account=bad())
    assert re.search(line, health.last_error)
    assert not health.healthy
    client.force_login(User.objects.create_superuser("ann"))
    page = client.get(reverse("admin:brokers_accounthealth_changelist"))
    assert re.search(line, unescape(page.content.decode()))

    order = submit(order_qty="10", ord_type="market", price=None)
    assert order.account_id == GOOD
    sending.send_request(order.requests.get().pk)
    sync.sync_executions(order.account)
    assert Order.objects.get(pk=order.pk).status == OrdStatus.FILLED


def test_account_at_tws_is_checked_and_read_while_its_worker_holds_the_connection(sandbox, wakings, monkeypatch):
    (account,) = trading_desk("interactive_brokers")
    account.adapter, account.settings = "interactive_brokers", tws(sandbox)
    account.save()
    held = gateway.gateway_for(account)
    held.account()
    assert sandbox.admin.tws().clients() == [601]

    out = StringIO()
    call_command("check_brokers", stdout=out)

    assert f"account {sandbox.tws_account_id()}, paper money" in out.getvalue()
    assert held.account().account_id == sandbox.tws_account_id()


def test_account_that_another_process_holds_is_read_by_that_one(sandbox, wakings, monkeypatch):
    (account,) = trading_desk("interactive_brokers")
    account.adapter, account.settings = "interactive_brokers", tws(sandbox)
    account.save()
    holder = SimpleNamespace(take=lambda name: False, is_ours=lambda name: False)
    monkeypatch.setattr(sync_now, "lease", holder)
    asked: list[threading.Thread] = []

    def wake(task, name, reads, **timing):
        asked.append(threading.Thread(target=sync.sync_account, args=(name,), kwargs={"reads": reads}))
        asked[0].run()

    monkeypatch.setattr(wakeups, "wake", wake)
    out = StringIO()
    call_command("sync_broker", account.pk, stdout=out)
    assert (len(asked), "interactive_brokers: active" in out.getvalue()) == (1, True)

    monkeypatch.setattr(wakeups, "wake", lambda *args, **timing: None)
    monkeypatch.setattr(sync_now, "WORKER_WITHIN", 0)
    with pytest.raises(CommandError, match="not everything could be read"):
        call_command("sync_broker", account.pk, stdout=out)


def test_connection_that_was_made_to_read_on_request_is_let_go(sandbox, wakings):
    (account,) = trading_desk("interactive_brokers")
    account.adapter, account.settings = "interactive_brokers", tws(sandbox)
    account.save()
    assert sync_now.sync_now(account.pk)
    assert gateway._gateways == {}
