"""What was accepted before a halt and may not be sent while it is in force."""

from orders.models import OrderRequest
from risk.exposure import holding_of, symbol_key
from risk.levels import holds_back
from risk.models import ExposureTotal
from risk.rules import Holding, ProposedOrder, Rulebook
from tradingdesk.fix import OrderClass, OrdType, RequestKind, Side


def is_held_back(request: OrderRequest, rules: Rulebook) -> bool:
    """Whether a halt keeps a new order or a replace in the outbox; without a halt it costs nothing."""
    order = request.order
    halts = rules.halts_on(request.broker_name, order.symbol)
    if not halts:
        return False
    asked = ProposedOrder(
        symbol=order.symbol,
        side=Side(order.side),
        ord_type=OrdType(order.ord_type),
        order_qty=order.order_qty,
        replaces=request.kind == RequestKind.REPLACE,
        reopens=order.parent_id is None and order.order_class in (OrderClass.BRACKET, OrderClass.OTO),
    )
    return holds_back(halts, asked, _held(request.broker_name, order.symbol))


def _held(broker_name: str, symbol: str) -> Holding:
    row = ExposureTotal.objects.filter(pk=symbol_key(broker_name, symbol)).first()
    return holding_of(row) if row else Holding()
