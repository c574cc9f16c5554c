"""The one gate: is this order allowed, for the firm and at each account it may go to?

Pure: what it needs is handed in, so back-tests run it without tables. A missing price, limit or
figure denies. Closing what is held never counts against exposure limits.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from risk.controls import OF_ACCOUNTS, OF_ORDERS, REQUIRED, SPECS
from risk.controls.control import Case, ControlSpec, Unmeasured, above
from risk.exposure import Exposure
from risk.levels import adds_exposure, closable, refuses, wants_less, words_of
from risk.models import Control
from risk.rules import (
    AccountVerdict,
    Bound,
    CandidateAccount,
    Denial,
    Ends,
    Holding,
    Place,
    ProposedOrder,
    Rulebook,
    qty_at_most,
    share_of,
    shorted_qty,
    with_order,
    worst_px,
)
from tradingdesk.fields import MONEY_PLACES, fit, plain
from tradingdesk.fix import Side

log = logging.getLogger(__name__)
Checks = list[tuple[ControlSpec, list[Bound]]]


@dataclass(slots=True)
class Verdict:
    """The gate's whole answer: the firm's denials, and each candidate account's."""

    denials: list[Denial] = field(default_factory=list)
    accounts: dict[str, AccountVerdict] = field(default_factory=dict)
    warnings: list[Denial] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def allowed(self) -> bool:
        """Whether at least one account may take the order."""
        return not self.denials and any(account.allowed for account in self.accounts.values())

    def all_denials(self) -> list[Denial]:
        """The firm's denials, then each account's with its name."""
        return self.denials + _named(self.accounts, "denials")

    def all_warnings(self) -> list[Denial]:
        """What soft limits say: for the firm, then for each account with its name."""
        return self.warnings + _named(self.accounts, "warnings")

    def warnings_at(self, broker_name: str) -> list[Denial]:
        """What soft limits say of the order at this account."""
        account = self.accounts.get(broker_name)
        return self.warnings + (_named({broker_name: account}, "warnings") if account else [])


def _named(accounts: Mapping[str, AccountVerdict], which: str) -> list[Denial]:
    return [replace(said, broker_name=name) for name, account in accounts.items() for said in getattr(account, which)]


def judge(
    order: ProposedOrder,
    candidates: Iterable[CandidateAccount],
    exposure: Exposure,
    book: Rulebook,
    total_value: Decimal,
    facts: Mapping[str, Any] | None = None,
) -> Verdict:
    """Answer once, for the firm and per candidate. `total_value` is the portfolio over all accounts.

    `facts` are what the controls in force need beyond that, by `needs_of`; one that is missing denies.
    """
    case = Case(order, exposure, book, total_value, order.place(), facts or {})
    verdict = Verdict(denials=list(_missing_limits(book)))
    _hold_against(_on_orders, case, verdict)
    verdict.accounts = {account.broker_name: _judge_account(case, account) for account in candidates}
    verdict.figures = {
        "firm_gross": plain(exposure.gross),
        "total_portfolio_value": plain(total_value),
        "rules_version": str(book.version),
    }
    return verdict


def _judge_account(case: Case, account: CandidateAccount) -> AccountVerdict:
    order, verdict = case.order, AccountVerdict(account.broker_name)
    verdict.denials.extend(_standing_denials(order, account, case.book))
    if account.bid_px is None or account.ask_px is None:
        problem = account.price_problem or no_price("NO_PRICE", f"symbol={order.symbol} has no quote")
        verdict.denials.append(problem)
        return verdict
    if account.fx_rate is None or case.exposure.fx_rate is None:
        verdict.denials.append(_no_rate(case, account))
        return verdict
    _size_up(verdict, order, account, case.exposure)
    place = order.place(broker=account.adapter, account=account.broker_name)
    case = replace(case, account=account, verdict=verdict, place=place)
    verdict.denials.extend(_closing_denials(case))
    _hold_against(_at_accounts, case, verdict)
    verdict.denials.extend(_holding_denials(case))
    return verdict


def no_price(code: str, detail: str) -> Denial:
    """Deny for a quote that cannot be used."""
    return Denial(code, detail, control="quote", passes="the same order once the account has a sound, fresh quote")


def _missing_limits(book: Rulebook) -> Iterable[Denial]:
    """No limits configured means no trading; a soft one stops nobody."""
    for control in REQUIRED:
        if not any(bound.hard for bound in book.bounds_at(control, Place())):
            detail = f"{control} is not set: no limits configured means no trading"
            passes = f"any order within {control}, once it is set for the firm"
            yield Denial("NO_LIMIT_CONFIGURED", detail, limit=control, control=control, passes=passes)


def _on_orders(book: Rulebook, place: Place) -> Checks:
    return _in_force(OF_ORDERS, book, place)


def _at_accounts(book: Rulebook, place: Place) -> Checks:
    return _in_force(OF_ACCOUNTS, book, place)


def _in_force(specs: Iterable[ControlSpec], book: Rulebook, place: Place) -> Checks:
    return [(spec, bounds) for spec in specs if (bounds := spec.bounds(book, place))]


def _hold_against(controls: Callable[[Rulebook, Place], Checks], case: Case, verdict: Verdict | AccountVerdict) -> None:
    """Check the controls that have a limit here: hard ones deny, soft ones warn; what cannot be measured denies."""
    for spec, bounds in case.book.prepared(controls, case.place):
        for bound in bounds:
            try:
                found = list(spec.check(case, bound))
            except Exception as error:  # an error in a control must deny, never let the order through
                verdict.denials.append(_unmeasured(bound, error))
                break
            (verdict.denials if bound.hard else verdict.warnings).extend(found)
            if found and bound.hard and not spec.each:
                break  # the soft limit beside it has nothing to add


def _unmeasured(bound: Bound, error: Exception) -> Denial:
    if not isinstance(error, Unmeasured):
        log.error("control %s of %s failed", bound.control, bound.where, exc_info=error)
    what = str(error) if isinstance(error, Unmeasured) else f"its check failed ({type(error).__name__})"
    passes = "the same order once it can be measured"
    return bound.denial("CONTROL_NOT_MEASURED", f"{bound.control}: {what}", passes=passes)


def _standing_denials(order: ProposedOrder, account: CandidateAccount, book: Rulebook) -> Iterable[Denial]:
    halt = next((one for one in book.halts_on(account.broker_name, order.symbol) if refuses(one, order)), None)
    if halt:
        passes = "the same order once the halt is cleared"
        yield Denial("TRADING_HALTED", f"halted for {halt}", found=str(halt), control="halt", passes=passes)
    if account.status != "active":
        detail = f"account status={account.status}: check the broker's connection"
        passes = "the same order once the account is active"
        yield Denial("ACCOUNT_NOT_ACTIVE", detail, found=account.status, control="account_status", passes=passes)


def _size_up(verdict: AccountVerdict, order: ProposedOrder, account: CandidateAccount, exposure: Exposure) -> None:
    """Work out what the order would hold here: units, worst price, gross before and after, buying power."""
    verdict.reserve_px = worst_px(order, bid_px=account.bid_px, ask_px=account.ask_px)
    verdict.reserve_qty = order.order_qty if order.order_qty is not None else fit(order.notional / verdict.reserve_px)
    qty, notional = _added(verdict, order)
    holding = exposure.holding(account.broker_name, (account.bid_px + account.ask_px) / 2)
    verdict.net_before = _ends(holding, exposure.fx_rate)
    verdict.net_after = _ends(with_order(holding, order.side, qty, notional), exposure.fx_rate)
    verdict.gross_before, verdict.gross_after = (max(map(abs, net)) for net in (verdict.net_before, verdict.net_after))
    taken = notional if order.side is Side.BUY else shorted_qty(holding, qty) * verdict.reserve_px
    verdict.buying_power_needed = fit(taken * exposure.fx_rate / account.fx_rate, MONEY_PLACES)


def _ends(holding: Holding, fx_rate: Decimal) -> Ends:
    high, low = holding.ends()
    return fit(high * fx_rate, MONEY_PLACES), fit(low * fx_rate, MONEY_PLACES)


def _no_rate(case: Case, account: CandidateAccount) -> Denial:
    whose = case.order.symbol if case.exposure.fx_rate is None else account.broker_name
    detail = f"no exchange rate for the currency of {whose}"
    passes = "the same order once a broker has told the rate"
    return Denial("NO_FX_RATE", detail, found=whose, control="exchange_rate", passes=passes)


def _added(verdict: AccountVerdict, order: ProposedOrder) -> tuple[Decimal, Decimal]:
    """What the order adds to what is entered: units, and their worst value.

    Of a replace, the worse of old and new in units and in price: that is held until the broker has answered.
    """
    left, px = max(verdict.reserve_qty - order.cum_qty, order.held_qty), max(verdict.reserve_px, order.held_px)
    return left - order.held_qty, max(left * px - order.held_notional, Decimal(0))


def _closing_denials(case: Case) -> Iterable[Denial]:
    """What halts that let only closing orders pass have against this one."""
    order, name = case.order, case.account.broker_name
    halts = [one for one in case.book.halts_on(name, order.symbol) if wants_less(one, order)]
    if not halts:
        return
    (qty, notional), held = _added(case.verdict, order), case.exposure.holding(name)
    halt = next((one for one in halts if adds_exposure(one, order, held, qty=qty, notional=notional)), None)
    if halt:
        free = max(closable(held, order.side), Decimal(0))
        detail, passes = words_of(halt, order, qty, free), f"order_qty of at most {plain(free)}, to close what is held"
        yield Denial("TRADING_HALTED", detail, "order_qty", plain(qty), plain(free), control="halt", passes=passes)


def _holding_denials(case: Case) -> Iterable[Denial]:
    order, account, verdict = case.order, case.account, case.verdict
    if order.side is Side.SELL and not account.can_short:
        holding = case.exposure.holding(account.broker_name)
        more = max(verdict.reserve_qty - order.cum_qty - order.held_qty, Decimal(0))
        if shorted_qty(holding, more) > 0:
            free = max(holding.position_qty - holding.open_sell_qty, Decimal(0))
            yield _no_short_sale(more, free)
    if verdict.buying_power_needed > account.buying_power:
        yield _no_buying_power(case)
    if case.raises_exposure and account.unreconciled:
        detail = f"desk and broker do not agree: {account.unreconciled}"
        passes = "orders that close a position; others once desk and broker agree"
        found = account.unreconciled
        yield Denial("ACCOUNT_NOT_RECONCILED", detail, found=found, control="reconciliation", passes=passes)
    uncounted = sum(row.without_rate for row in case.exposure.accounts.values())
    if case.raises_exposure and uncounted:
        detail = f"symbols held or entered in a currency without an exchange rate={uncounted}"
        passes = "orders that close a position; others once the rates are known"
        yield Denial("NO_FX_RATE", detail, found=str(uncounted), control="exchange_rate", passes=passes)


def _no_short_sale(more: Decimal, free: Decimal) -> Denial:
    detail = f"order_qty={plain(more)}, free to sell={plain(free)}: no short sale here"
    passes = f"order_qty of at most {plain(free)}"
    return Denial(
        "SHORT_SALE_NOT_ALLOWED", detail, "order_qty", plain(more), plain(free), control="short_sale", passes=passes
    )


def _no_buying_power(case: Case) -> Denial:
    verdict, account = case.verdict, case.account
    needed, there = plain(verdict.buying_power_needed), plain(account.buying_power)
    return Denial(
        "INSUFFICIENT_BUYING_POWER",
        f"needed={needed}, available={there}",
        "order_qty",
        needed,
        there,
        control="buying_power",
        passes=qty_at_most(account.buying_power, verdict.reserve_px * case.exposure.fx_rate / account.fx_rate),
    )


def portfolio_denials(gross: Mapping[str, Decimal], total_value: Decimal, book: Rulebook) -> Iterable[Denial]:
    """What stands against the portfolio as it is: gross exposure, and each account's share. `gross` is by account.

    A portfolio whose value is not known, 0, has no shares: that stands against it while something is held or entered.
    """
    firm_gross = sum(gross.values(), Decimal(0))
    for bound in book.bounds_at(Control.PORTFOLIO_RISK_LIMIT, Place()):
        yield from above(bound, "GROSS_EXPOSURE_EXCEEDS_LIMIT", "gross_exposure", firm_gross, field="")
    if total_value <= 0 and firm_gross:
        yield Denial("NO_PORTFOLIO_VALUE", "the portfolio's value is not known: sync the brokers first")
    for name, value in gross.items() if total_value > 0 else ():
        share = share_of(value, total_value)
        for bound in SPECS[Control.MAX_BROKER_ALLOCATION].bounds(book, Place(account=name)):
            for denial in above(bound, "BROKER_ALLOCATION_EXCEEDS_LIMIT", "broker_share", share, field=""):
                yield replace(denial, broker_name=name)


def reservation(verdict: AccountVerdict) -> Mapping[str, Decimal]:
    """What an accepted order holds: the columns of its row."""
    return {
        "reserve_total_qty": verdict.reserve_qty,
        "reserve_px": verdict.reserve_px,
        "buying_power_held": verdict.buying_power_needed,
    }
