"""Whose order a broker talks about."""

from collections.abc import Collection, Iterable, Mapping
from functools import cache

from brokers.messages import CancelRejected, ExecutionReport
from brokers.models import BrokerAccount
from orders.ledger import named, padded, places
from orders.models import Order, OrderRequest
from tradingdesk.statements import Param, Select

_of_account = OrderRequest.objects.filter(broker_name=Param("account")).select_related("order").order_by("id")


def find_order(account: BrokerAccount, fact: ExecutionReport | CancelRejected) -> tuple[Order, OrderRequest | None]:
    """Find the desk's order by any id it has had, a request's or the broker's, and the request that had it.

    Raises:
        Order.DoesNotExist: none of them is ours.
    """
    return find_orders(account, [fact])[0]


def find_orders(
    account: BrokerAccount, facts: Iterable[ExecutionReport | CancelRejected]
) -> list[tuple[Order, OrderRequest | None]]:
    """Find the order of each fact, as `find_order` does.

    Raises:
        Order.DoesNotExist: one of them is about no order of ours.
    """
    facts = list(facts)
    by_client_id = _requests(account, "client_order_id", {one for fact in facts for one in _client_ids(fact)})
    found = [_first(by_client_id, fact) for fact in facts]
    unknown = {fact.broker_order_id for fact, request in zip(facts, found, strict=True) if request is None}
    by_broker_id = _requests(account, "broker_order_id", unknown - {"", None})
    return [
        _order_of(account, fact, request or by_broker_id.get(fact.broker_order_id))
        for fact, request in zip(facts, found, strict=True)
    ]


def _client_ids(fact: ExecutionReport | CancelRejected) -> list[str]:
    return [one for one in (fact.client_order_id, getattr(fact, "orig_client_order_id", "")) if one]


def _first(requests: Mapping[str, OrderRequest], fact: ExecutionReport | CancelRejected) -> OrderRequest | None:
    """The oldest of the requests whose ids a fact names."""
    named_ones = [requests[one] for one in _client_ids(fact) if one in requests]
    return min(named_ones, key=lambda request: request.pk, default=None)


def _requests(account: BrokerAccount, name: str, ids: Collection[str]) -> dict[str, OrderRequest]:
    """The account's requests with these ids, by them; of several with one id the first."""
    if not ids:
        return {}
    asked = padded(ids)
    rows = _requests_with(name, len(asked))(account=account.pk, **named(asked))
    return {getattr(row, name): row for row in reversed(rows)}


@cache
def _requests_with(name: str, count: int) -> Select:
    return Select(_of_account.filter(**{f"{name}__in": places(count)}))


def _order_of(
    account: BrokerAccount, fact: ExecutionReport | CancelRejected, request: OrderRequest | None
) -> tuple[Order, OrderRequest | None]:
    if request is not None:
        return request.order, request
    orders = Order.objects.filter(account=account)
    order = orders.filter(broker_order_id=fact.broker_order_id).first() if fact.broker_order_id else None
    # No request tells of a leg, as it goes out with its order; a broker may know it by the desk's own id.
    order = order or orders.filter(client_order_id__in=_client_ids(fact), parent__isnull=False).first()
    if order is None:
        raise Order.DoesNotExist(f"{account.broker_name}: no order of ours is {fact.broker_order_id}")
    return order, None
