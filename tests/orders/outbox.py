"""An order in the outbox, and the worker's turns at it, as the tests of sending need them."""

from django.utils import timezone

from brokers.messages import OutcomeUnknown
from orders import sending
from orders.models import Order, OrderRequest
from tradingdesk.fix import RequestKind, RequestState

LOST = OutcomeUnknown("timed out")


def request_of(order: Order, kind=RequestKind.NEW) -> OrderRequest:
    return order.requests.filter(kind=kind).latest("id")


def send(order: Order, kind=RequestKind.NEW) -> OrderRequest:
    """Wake the worker for the order's request; the request as it is then."""
    sending.send_request(request_of(order, kind).pk)
    order.refresh_from_db()
    return request_of(order, kind)


def pause_is_over(order: Order, kind=RequestKind.NEW) -> None:
    OrderRequest.objects.filter(pk=request_of(order, kind).pk).update(not_before=timezone.now())


def left_by_a_dead_worker(order: Order, kind=RequestKind.NEW) -> None:
    """The request as a worker that was killed while it sent leaves it."""
    values = {"state": RequestState.SENDING, "holder": "host:1:gone", "sent_at": timezone.now(), "attempts": 1}
    OrderRequest.objects.filter(pk=request_of(order, kind).pk).update(**values)
