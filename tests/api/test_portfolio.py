"""What all accounts hold and are worth together."""

from decimal import Decimal

import pytest

from tests import factories

pytestmark = pytest.mark.django_db


def test_portfolio_adds_up_the_enabled_accounts_and_lists_all(viewer):
    factories.BrokerAccountFactory(broker_name="a", portfolio_value=Decimal(300), cash=Decimal(100))
    factories.BrokerAccountFactory(broker_name="b", portfolio_value=Decimal(100), cash=Decimal("50.5"))
    factories.BrokerAccountFactory(broker_name="off", portfolio_value=Decimal(1000), enabled=False)
    factories.PositionFactory(account__broker_name="a")
    factories.OrderFactory(account__broker_name="b", status="new")
    factories.OrderFactory(account__broker_name="b", status="filled")

    answer = viewer.get("/api/v1/portfolio/").json()

    assert (answer["total_value"], answer["cash"], answer["gross_exposure"]) == ("400", "150.5", "0")
    assert (answer["open_positions"], answer["open_orders"]) == (1, 1)
    shares = [(row["broker_name"], row["share"], row["target_share"]) for row in answer["accounts"]]
    assert shares == [("a", "0.75", "0.5"), ("b", "0.25", "0.5"), ("off", None, "0.5")]


def test_portfolio_names_the_currencies_without_a_rate(viewer):
    factories.BrokerAccountFactory(broker_name="a", portfolio_value=Decimal(300))
    factories.BrokerAccountFactory(broker_name="b", portfolio_value=Decimal(100), currency="GBP")
    answer = viewer.get("/api/v1/portfolio/").json()
    assert (answer["base_currency"], answer["without_rate"], answer["total_value"]) == ("USD", ["GBP"], "0")


def test_exposure_of_an_accepted_order_is_in_the_portfolio(client_of, desk):
    trader = client_of("trader")
    body = {"symbol": "IBM", "side": "buy", "order_qty": "10", "ord_type": "limit", "price": "182.40"}
    chosen = trader.post("/api/v1/orders/", body, format="json").json()["broker_name"]
    answer = trader.get("/api/v1/portfolio/").json()
    assert answer["gross_exposure"] == "1824"
    assert {row["broker_name"] for row in answer["accounts"] if row["gross_exposure"] != "0"} == {chosen}


def test_positions_of_one_symbol_are_put_together(viewer):
    factories.PositionFactory(account__broker_name="a", qty=Decimal(10), avg_px=Decimal(100))
    factories.PositionFactory(account__broker_name="b", qty=Decimal(30), avg_px=Decimal(104))
    factories.PositionFactory(account__broker_name="c", qty=Decimal(0), closed_at=factories.OPENING)
    answer = viewer.get("/api/v1/positions/consolidated/").json()
    assert answer == {
        "next": None,
        "previous": None,
        "results": [{"symbol": "IBM", "qty": "40", "avg_px": "103", "brokers": {"a": "10", "b": "30"}}],
    }
