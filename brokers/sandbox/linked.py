"""Orders that depend on one another: exits wait until their entry has filled, and one of them cancels the other.

A bracket is an entry with two exits, an "oto" an entry with one, an "oco" two exits of what is held already: its first
order takes the profit. Whoever is cancelled by a client takes the others with it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from brokers.sandbox.book import Leg, Order
from tradingdesk.fix import ExecType, LegRole, OrderClass, OrdStatus


def first_role(order_class: OrderClass) -> LegRole:
    """What the order is for that the others were sent with."""
    return LegRole.TAKE_PROFIT if order_class is OrderClass.OCO else LegRole.ENTRY


class Linked:
    """The part of the venue that keeps groups; `groups` has the orders of each, replacements too, oldest first."""

    groups: dict[str, list[Order]]

    def legs_of(self, order: Order) -> list[Order]:
        """The orders that were sent with this one, as they stand; none for a leg."""
        if not order.group_id or order.parent_id:
            return []
        return [one for one in self._others(order) if one.parent_id and one.status is not OrdStatus.REPLACED]

    def _add_leg(self, parent: Order, leg: Leg, now: datetime) -> None:
        """Enter an exit: held until the entry has filled, or working at once where there is none."""
        is_oco = parent.order_class is OrderClass.OCO
        order = Order(
            order_id=self.new_id(),
            account=parent.account,
            client_order_id=self.new_id(),
            symbol=parent.symbol,
            side=parent.side if is_oco else parent.side.opposite,
            ord_type=leg.ord_type,
            time_in_force=parent.time_in_force,
            seq=self._next(),
            created_at=now,
            updated_at=now,
            order_qty=parent.order_qty,
            price=leg.price,
            stop_px=leg.stop_px,
            order_class=parent.order_class,
            group_id=parent.group_id,
            leg_role=leg.role,
            parent_id=parent.order_id,
            closing_qty=parent.order_qty,
            held=not is_oco,
            covered=leg.role is LegRole.STOP_LOSS and parent.order_class is not OrderClass.OTO,
        )
        self._enter(order)
        self._tell(ExecType.PENDING_NEW, order, now)
        if is_oco:
            self._later(self._acknowledge, order, now, self.accounts[order.account].rules.ack_delay_s)

    def _follow_trade(self, order: Order, qty: Decimal, now: datetime) -> None:
        """Do what a fill means for the others: exits begin to work, or one takes from the other what it has filled."""
        if not order.group_id:
            return
        if order.leg_role is not LegRole.ENTRY:
            self._fill_one_of_two(order, qty, now)
        elif order.status is OrdStatus.FILLED:
            for leg in [one for one in self._others(order) if one.held and one.is_open]:
                self._release(leg, now)

    def _follow_close(self, order: Order, now: datetime) -> None:
        """End the others with an entry that ends, and with an exit that is cancelled."""
        if not order.group_id or order.status is OrdStatus.REPLACED or not self._stood(order):
            return
        if order.leg_role is not LegRole.ENTRY and order.status is not OrdStatus.CANCELED:
            return
        for other in self._others(order):
            if other.is_open and order.status is OrdStatus.EXPIRED:
                self.expire(other, now)
            elif other.is_open:
                self.cancel_unasked(other, now)

    def _release(self, leg: Order, now: datetime) -> None:
        leg.held = False
        self._hold(leg)
        self.moved.append(leg)
        self._later(self._acknowledge, leg, now)

    def _fill_one_of_two(self, order: Order, qty: Decimal, now: datetime) -> None:
        for other in self._others(order):
            if not other.is_open or other.leg_role is LegRole.ENTRY or not self._stood(other):
                continue
            if order.status is OrdStatus.FILLED:
                self._cancel_other(other, now)
            else:
                other.order_qty = max(other.order_qty - qty, other.cum_qty)
                self._hold(other)
                self._tell(ExecType.RESTATED, other, now)

    def _cancel_other(self, other: Order, now: datetime) -> None:
        """Cancel the exit that is not needed any more; where cancels take their time, it may still fill."""
        delay = self.accounts[other.account].rules.cancel_delay_s
        if not delay:
            self.cancel_unasked(other, now)
        elif other.status is not OrdStatus.PENDING_CANCEL:
            other.status = OrdStatus.PENDING_CANCEL
            self._tell(ExecType.PENDING_CANCEL, other, now)
            self._later(self._finish_cancel, other, now, delay)

    def _others(self, order: Order) -> list[Order]:
        return [one for one in self.groups[order.group_id] if one is not order]

    def _stood(self, order: Order) -> bool:
        """Whether it ever was more than a replacement on its way."""
        return not order.replaces or self.orders[order.replaces].replaced_by == order.order_id
