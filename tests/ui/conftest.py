"""A person before a real browser, at a desk with a life behind it."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User

from orders.models import Order
from risk.rulebook import forget
from tests import factories
from tests.admin import rows
from tests.orders.desk import Counterparty, sent

PASSWORD = "correct horse battery"


@dataclass
class Desk:
    """The back office in a browser; it remembers what went wrong on the way, and where requests went."""

    url: str
    page: object
    pictures: Path
    hosts: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("response", self._note_response)
        self.page.on("pageerror", lambda error: self.failures.append(f"script: {error}"))

    def _note_response(self, response) -> None:
        if response.status >= 400:
            self.failures.append(f"{response.status} {response.url}")

    def open(self, path: str) -> None:
        """Go to a page of the desk."""
        self.page.goto(self.url + path)

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page."""
        self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)

    def assert_sound(self) -> None:
        """Fail if anything was missing or broken, or came from elsewhere than the desk."""
        assert self.failures == []
        assert self.hosts == {urlsplit(self.url).netloc}


@pytest.fixture
def life(transactional_db) -> Order:
    """A desk with some orders in all states; the one with the longest life."""
    forget()
    factories.trading_desk()
    rows.submitted(order_qty="1001", strategy="pairs")
    rows.submitted(symbol="BAC", price="14.10", side="buy", order_qty="200")
    order = rows.submitted(order_qty="100", price="182.45", strategy="pairs")
    sent(order)
    broker = Counterparty(order)
    broker.acknowledge(raw={"id": "b-1", "status": "new", "symbol": "IBM"})
    broker.fill("T-1", 40, "182.45")
    broker.fill("T-2", 25, "182.44")
    yield broker.order
    forget()


@pytest.fixture
def desk(life, live_server, page, tmp_path) -> Desk:
    """The back office, with its owner signed in through the login page."""
    User.objects.create_superuser("owner", password=PASSWORD)
    made = Desk(live_server.url, page, tmp_path)
    made.open("/admin/")
    page.fill("input[name=username]", "owner")
    page.fill("input[name=password]", PASSWORD)
    made.picture("login")
    page.click("button[type=submit]")
    page.wait_for_url("**/admin/")
    return made
