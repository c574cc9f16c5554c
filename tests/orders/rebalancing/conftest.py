"""What every test of plans stands on: settings that it changes at will, and no wake-ups."""

import pytest

from orders.rebalancing.configuration import Rebalancing


@pytest.fixture
def configured(monkeypatch) -> dict:
    """Settings in force; a test changes them at will."""
    given: dict = {}
    for module in ("reading", "plans"):
        monkeypatch.setattr(f"orders.rebalancing.{module}.rebalancing_in_force", lambda: Rebalancing(**given))
    return given


@pytest.fixture(autouse=True)
def _no_wake_ups(monkeypatch):
    """Bring plans forward only where a test says so."""
    monkeypatch.setattr("orders.wakeups.app.send_task", lambda *_, **__: None)
