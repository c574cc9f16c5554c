"""The desk's accounts at the real sandbox process, and orders on their way there and back."""

from collections.abc import Iterator
from contextlib import contextmanager

from brokers import lease
from brokers.gateway import close_gateways, gateway_for
from brokers.models import BrokerAccount
from orders import sending
from orders.models import Order
from orders.reconcile.run import reconcile_account
from orders.streaming import DeskListener
from tests.brokers.sandbox_process import SandboxProcess
from tests.factories import trading_desk
from tests.orders.desk import submit
from tradingdesk.fix import OrdStatus, RequestState

AT_TWS = "interactive_brokers"
EXITS = {"take_profit": {"limit_price": "190"}, "stop_loss": {"stop_price": "170"}}
FAR = {"ord_type": "limit", "price": "175.00", "time_in_force": "gtc"}
NOW = {"ord_type": "market", "price": None, "time_in_force": "gtc"}


def accounts_at_alpaca(count: int, **settings) -> dict[str, dict]:
    """Accounts of a sandbox, for each test of a module one: account0, account1 and so on."""
    names = [f"account{number}" for number in range(count)]
    return {
        name: {"api_key": f"K-{name}", "secret_key": f"S-{name}", "starting_cash": 10**6} | settings for name in names
    }


def desk_at_alpaca(sandbox: SandboxProcess, name: str, monkeypatch) -> BrokerAccount:
    """A desk that trades at one of these accounts; no fault of an earlier test is left there."""
    monkeypatch.setenv("ALPACA_API_KEY", sandbox.keys(name)[0])
    monkeypatch.setenv("ALPACA_SECRET_KEY", sandbox.keys(name)[1])
    (account,) = trading_desk(name)
    account.settings |= {"base_url": sandbox.url}
    account.save()
    sandbox.admin.clear()
    return account


@contextmanager
def held_at_tws(account: BrokerAccount, sandbox: SandboxProcess, *, client_id: int) -> Iterator[None]:
    """Let this process hold the account at the sandbox's TWS and listen to it; the desk agrees with it then."""
    settings = {"port": sandbox.tws_port(), "account_id": sandbox.tws_account_id(), "client_id": client_id}
    account.adapter, account.settings = "interactive_brokers", settings
    account.save()
    assert lease.take(account.pk)
    try:
        gateway = gateway_for(account)
        gateway.start(DeskListener(account, gateway))
        reconcile_account(account.pk)
        yield
    finally:
        close_gateways()
        lease.give_back(account.pk)


def send(order: Order) -> Order:
    """Send what is queued of the order; the order as it is then."""
    for request in order.requests.filter(state=RequestState.QUEUED):
        sending.send_request(request.pk)
    order.refresh_from_db()
    return order


def place(order_class: str = "bracket", **body) -> Order:
    """Submit a linked order of 100 and send it."""
    order = submit(order_class=order_class, **(EXITS | body))
    assert order.status == OrdStatus.PENDING, order.denials
    return send(order)


def statuses(order: Order) -> list[str]:
    """The order's status and its legs', as the desk has them."""
    rows = [Order.objects.get(pk=order.pk), *order.legs.order_by("pk")]
    return [row.status for row in rows]
