"""New orders, changes and cancels: by the API's clients, and by hand in TWS."""

from __future__ import annotations

from dataclasses import fields as columns
from decimal import Decimal
from typing import Any

from brokers.sandbox.book import REPLACE_REJECTED, Event, Refused
from brokers.sandbox.tws import contracts, refusals, terms, words
from brokers.sandbox.tws.gateway import Gateway
from brokers.sandbox.tws.orders import TwsOrder
from brokers.sandbox.tws.refusals import Refusal, in_tws_words
from brokers.sandbox.tws.requests import PlaceOrder
from tradingdesk.fix import ExecType, OrdStatus

MANUAL_CLIENT = 0
CHANGEABLE = (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)


class Trading:
    """What can be done to the orders of one account."""

    def __init__(self, gateway: Gateway):
        self.gateway, self.venue, self.orders = gateway, gateway.venue, gateway.orders
        gateway.followers.append(self._follow)

    def place(self, client_id: int, request: PlaceOrder) -> None:
        """Take a new order, or the change of a live one. Raises Refusal."""
        known = self.orders.find(client_id, request.order_id)
        if known is not None:
            self._change(known, request)
            return
        if request.order_id < self.orders.next_order_id(client_id):
            raise Refusal(*refusals.DUPLICATE_ORDER_ID)
        self.orders.use_id(client_id, request.order_id)
        if request.parent_id and self.orders.find(client_id, request.parent_id) is None:
            raise Refusal(*refusals.MISSING_PARENT)
        terms.check(request, self.gateway.tws)
        order = self._new(client_id, request.order_id, request)
        if request.what_if:
            self._estimate(order)
            return
        self._refuse_too_many(order)
        self._take(order, request)

    def place_by_hand(self, request: PlaceOrder, client_id: int = MANUAL_CLIENT) -> TwsOrder:
        """Place an order as a person at TWS, or as another client, does. Raises Refusal."""
        order_id = self.orders.next_order_id(client_id) if client_id else 0
        if client_id:
            self.orders.use_id(client_id, order_id)
        order = self._new(client_id, order_id, request)
        if not client_id and MANUAL_CLIENT in self.gateway.bound:
            self.orders.bind(order)
        self.orders.add(order)
        self.submit(order)
        return order

    def cancel(self, client_id: int, order_id: int) -> None:
        """Cancel the client's order, or else any client's live order with this id. Raises Refusal."""
        own = self.orders.find(client_id, order_id)
        others = [] if own else self.orders.of_id(order_id)
        order = own or next((o for o in others if not self.gateway.is_done(o)), next(iter(others), None))
        if order is None:
            raise refusals.unknown_cancel(order_id)
        status = self.gateway.status(order)
        if status in words.DONE:
            raise refusals.cannot_cancel(order_id, status)
        if status == "PendingCancel":
            raise refusals.not_cancellable(order.perm_id)
        self.cancel_order(order, client_id)

    def cancel_all(self, client_id: int) -> None:
        """Cancel every live order of the account, manual ones too."""
        for order in self.gateway.live():
            if self.gateway.status(order) != "PendingCancel":
                self.cancel_order(order, client_id)

    def cancel_order(self, order: TwsOrder, client_id: int) -> None:
        """Cancel a live order for a client."""
        order.canceller = client_id
        self.orders.keep(order)
        seen = self.gateway.seen(order)
        if seen is None:
            self.end(order, "Cancelled")
        elif seen.status is OrdStatus.PENDING_REPLACE:
            order.cancel_due = True
        else:
            self.venue.cancel(self.gateway.name, seen.order_id)

    def submit(self, order: TwsOrder) -> None:
        """Hand an order over to the venue; a refusal ends it."""
        order.held = ""
        ticket = self.orders.new_ticket(order)
        try:
            self.venue.submit(self.gateway.name, terms.ticket(order, ticket))
        except Refused as refused:
            self.orders.drop_ticket(order)
            refusal = in_tws_words(refused)
            order.ended, order.ended_at = "Inactive", self.venue.clock()
            self.orders.keep(order)
            self.gateway.tell(order, *self.gateway.show(order))
            self.gateway.refuse(order, refusal)

    def end(self, order: TwsOrder, status: str) -> None:
        """End an order that the venue never had."""
        order.ended, order.ended_at, order.held = status, self.venue.clock(), ""
        self.orders.keep(order)
        code, text = refusals.CANCELLED
        status_message = words.order_status(order, None, order.canceller)
        self.gateway.tell(order, status_message, words.error(order.order_id, code, text.format("")))
        for child in self.orders.children(order):
            self._end_child(child)

    def change(self, order: TwsOrder, **wanted: Any) -> None:
        """Change a live order's terms. Raises Refusal, and then it stays as it was."""
        before = {name: getattr(order, name) for name in wanted}
        try:
            self._apply(order, wanted)
        except Refused as refused:
            self._apply_terms(order, before)
            raise in_tws_words(refused) from None

    def _take(self, order: TwsOrder, request: PlaceOrder) -> None:
        self.orders.add(order)
        if not request.tif:
            self.gateway.tell(order, words.error(order.order_id, *refusals.TIF_PRESET))
        parent = self.orders.find(order.client_id, order.parent_id)
        if not order.transmit:
            order.held = "transmit"
            self.orders.keep(order)
            return
        family = self._family(order, parent)
        for member in family:
            self._release(member)

    def _family(self, order: TwsOrder, parent: TwsOrder | None) -> list[TwsOrder]:
        """The order, after those of its bracket that its transmission transmits."""
        if parent is None:
            waiting = [o for o in self.orders.children(order) if o.held == "transmit"]
            return [order, *waiting]
        others = [o for o in [parent, *self.orders.children(parent)] if o.held == "transmit" and o is not order]
        return [*others, order]

    def _release(self, order: TwsOrder) -> None:
        """Transmit an order: to the venue, or to wait for its parent."""
        parent = self.orders.find(order.client_id, order.parent_id)
        if parent is None or self.gateway.status(parent) == "Filled":
            self.submit(order)
            return
        if self.gateway.is_done(parent):
            self.end(order, "Cancelled")
            return
        order.held, order.oca_group = "parent", order.oca_group or str(parent.perm_id)
        self.orders.keep(order)
        self.gateway.tell(order, *self.gateway.show(order))

    def _new(self, client_id: int, order_id: int, request: PlaceOrder) -> TwsOrder:
        asset = contracts.find(self.venue, request.contract)
        if asset is None or not asset.about.tradable:
            raise Refusal(*refusals.NO_CONTRACT)
        return TwsOrder(
            perm_id=self.orders.new_perm_id(),
            client_id=client_id,
            order_id=order_id,
            account=self.gateway.name,
            symbol=asset.symbol,
            con_id=contracts.con_id(asset.symbol),
            exchange=request.contract.exchange,
            action=request.action,
            created_at=self.venue.clock(),
            **terms.asked(request),
        )

    def _refuse_too_many(self, order: TwsOrder) -> None:
        live = [o for o in self.gateway.live() if (o.symbol, o.action) == (order.symbol, order.action)]
        if len(live) >= self.gateway.tws.max_working_per_side:
            raise refusals.rejected(f"The maximum of {len(live)} working orders of one side is reached.")

    def _change(self, order: TwsOrder, request: PlaceOrder) -> None:
        status = self.gateway.status(order)
        if status in words.DONE:
            raise Refusal(*(refusals.FILLED_ALREADY if status == "Filled" else refusals.DUPLICATE_ORDER_ID))
        terms.check(request, self.gateway.tws)
        asset = contracts.find(self.venue, request.contract)
        if asset is None or (asset.symbol, request.action) != (order.symbol, order.action):
            raise Refusal(*refusals.NOT_CHANGEABLE)
        wanted = terms.asked(request)
        if order.held != "transmit":
            self.change(order, **wanted)
            return
        self._apply_terms(order, wanted)  # nothing is said of an order that stays at TWS
        if request.transmit:
            for member in self._family(order, self.orders.find(order.client_id, order.parent_id)):
                self._release(member)

    def _apply(self, order: TwsOrder, wanted: dict[str, Any]) -> None:
        seen = self.gateway.seen(order)
        self._apply_terms(order, wanted)
        if seen is None:
            self.gateway.tell(order, *self.gateway.show(order))
        elif seen.status in CHANGEABLE:
            self._replace(order)
        elif seen.status is OrdStatus.PENDING_CANCEL:
            raise Refused("not_replaceable", status=seen.status)
        else:
            order.change_due = True
            self.orders.keep(order)

    def _apply_terms(self, order: TwsOrder, wanted: dict[str, Any]) -> None:
        for name in wanted.keys() & {column.name for column in columns(order)}:
            setattr(order, name, wanted[name])
        self.orders.keep(order)

    def _replace(self, order: TwsOrder) -> None:
        old = self.gateway.seen(order)
        ticket = self.orders.new_ticket(order)
        try:
            self.venue.replace(self.gateway.name, old.order_id, client_order_id=ticket, **terms.changes(order))
        except Refused:
            self.orders.drop_ticket(order)
            raise

    def _follow(self, event: Event, order: TwsOrder) -> None:
        """Do what waited for the event: a change or a cancel, children, the others of its group."""
        if event.kind in (ExecType.NEW, REPLACE_REJECTED):
            self._do_what_is_due(order)
        elif event.kind == ExecType.TRADE:
            self._reduce_group(order, event.execution.qty, filled=event.order.status is OrdStatus.FILLED)
            if event.order.status is OrdStatus.FILLED:
                for child in self.orders.children(order):
                    if child.held == "parent":
                        self.submit(child)
        elif event.kind in (ExecType.CANCELED, ExecType.EXPIRED, ExecType.REJECTED) and self.gateway.is_done(order):
            for child in self.orders.children(order):
                self._end_child(child)
            self._end_group(order)

    def _do_what_is_due(self, order: TwsOrder) -> None:
        change, cancel = order.change_due, order.cancel_due
        order.change_due = order.cancel_due = False
        status = self.gateway.status(order) if change or cancel else ""
        if cancel and status in words.DONE:
            self.gateway.refuse(order, refusals.cannot_cancel(order.order_id, status))
        elif cancel:
            self.cancel_order(order, order.canceller)
        elif change:
            self._replace_late(order)

    def _replace_late(self, order: TwsOrder) -> None:
        """Make the change that had to wait; who asked for it has no other answer."""
        try:
            self._replace(order)
        except Refused as refused:
            self.gateway.refuse(order, in_tws_words(refused))

    def _end_child(self, child: TwsOrder) -> None:
        if child.held in ("parent", "transmit") and not child.ended:
            self.end(child, "Cancelled")

    def _end_group(self, order: TwsOrder) -> None:
        """An order of a group that somebody cancels takes the others along."""
        if order.oca_group and order.canceller is not None and self.gateway.status(order) == "Cancelled":
            for other in self._group(order):
                if self.gateway.status(other) != "PendingCancel":
                    self.cancel_order(other, order.canceller)

    def _group(self, order: TwsOrder) -> list[TwsOrder]:
        """The others of an order's group that work."""
        live = self.gateway.live() if order.oca_group else []
        return [other for other in live if other is not order and other.oca_group == order.oca_group and not other.held]

    def _reduce_group(self, order: TwsOrder, qty: Decimal, *, filled: bool) -> None:
        """One cancels the other: a fill ends the others of the group or, in part, takes from them."""
        for other in self._group(order):
            if filled or order.oca_type == 1:
                self.cancel_order(other, other.client_id)
            elif other.total_quantity > qty:
                self.change(other, total_quantity=other.total_quantity - qty)

    def _estimate(self, order: TwsOrder) -> None:
        """Answer what an order would cost, without placing it."""
        engine = self.venue.engine
        account, book = engine.accounts[self.gateway.name], engine.book(order.symbol)
        px = order.lmt_price or book.touch(order.side) or engine.mark(order.symbol)
        rules, value = account.rules, px * order.total_quantity
        fee = max(rules.fee_min, rules.fee_per_share * order.total_quantity)
        fee = fee if rules.fee_max_share is None else min(fee, rules.fee_max_share * value)
        equity, before = account.equity(engine.mark), account.gross(engine.mark) / rules.multiplier
        margin = value / rules.multiplier
        shown = words.open_order(
            order,
            None,
            self.gateway.account_id,
            status="PreSubmitted",
            what_if=True,
            init_margin_before=words.price(before),
            init_margin_change=words.price(margin),
            init_margin_after=words.price(before + margin),
            maint_margin_before=words.price(before),
            maint_margin_change=words.price(margin),
            maint_margin_after=words.price(before + margin),
            equity_with_loan_before=words.price(equity),
            equity_with_loan_change="0",
            equity_with_loan_after=words.price(equity),
            commission=words.price(fee),
            commission_currency="USD",
        )
        self.gateway.tell(order, shown)
