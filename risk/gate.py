"""The one gate: is this order allowed, for the firm and at each account it may go to?

Pure: what it needs is handed in, so back-tests run it without tables. A missing price, limit or
figure denies. Closing what is held never counts against exposure limits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_UP, Decimal

from risk.exposure import Exposure
from risk.levels import adds_exposure, closable, refuses, wants_less, words_of
from risk.models import Control
from risk.rules import (
    AccountVerdict,
    CandidateAccount,
    Denial,
    ProposedOrder,
    Rulebook,
    exceeds,
    limit_denials,
    shorted_qty,
    with_order,
    worst_px,
)
from tradingdesk.fields import MONEY_PLACES, QUANTITY_PLACES, fit, plain
from tradingdesk.fix import Side


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
        named = [
            replace(denial, broker_name=name) for name, account in self.accounts.items() for denial in account.denials
        ]
        return self.denials + named


def judge(
    order: ProposedOrder,
    candidates: Iterable[CandidateAccount],
    exposure: Exposure,
    book: Rulebook,
    total_value: Decimal,
) -> Verdict:
    """Answer once, for the firm and per candidate. `total_value` is the portfolio over all accounts."""
    accounts = list(candidates)
    verdict = Verdict(denials=list(limit_denials(book, order)))
    verdict.accounts = {
        account.broker_name: _judge_account(order, account, exposure, book, total_value) for account in accounts
    }
    _judge_diversification(verdict, book, exposure)
    verdict.figures = {
        "firm_gross": plain(exposure.gross),
        "total_portfolio_value": plain(total_value),
        "rules_version": str(book.version),
    }
    return verdict


def _judge_account(
    order: ProposedOrder, account: CandidateAccount, exposure: Exposure, book: Rulebook, total_value: Decimal
) -> AccountVerdict:
    verdict = AccountVerdict(account.broker_name)
    verdict.denials.extend(_standing_denials(order, account, book))
    if account.bid_px is None or account.ask_px is None:
        verdict.denials.append(Denial(*(account.price_problem or ("NO_PRICE", f"symbol={order.symbol} has no quote"))))
        return verdict
    _size_up(verdict, order, account, exposure)
    verdict.denials.extend(_closing_denials(verdict, order, account, exposure, book))
    verdict.denials.extend(_size_denials(verdict, order, account, book))
    verdict.denials.extend(_holding_denials(verdict, order, account, exposure))
    verdict.denials.extend(_exposure_denials(verdict, account, exposure, book, total_value))
    return verdict


def _standing_denials(order: ProposedOrder, account: CandidateAccount, book: Rulebook) -> Iterable[Denial]:
    halt = next((one for one in book.halts_on(account.broker_name, order.symbol) if refuses(one, order)), None)
    if halt:
        yield Denial("TRADING_HALTED", f"halted for {halt}", found=str(halt))
    if account.status != "active":
        yield Denial(
            "ACCOUNT_NOT_ACTIVE",
            f"account status={account.status}: check the broker's connection",
            found=account.status,
        )


def _size_up(verdict: AccountVerdict, order: ProposedOrder, account: CandidateAccount, exposure: Exposure) -> None:
    """Work out what the order would hold here: units, worst price, gross before and after, buying power."""
    verdict.reserve_px = worst_px(order, bid_px=account.bid_px, ask_px=account.ask_px)
    verdict.reserve_qty = order.order_qty if order.order_qty is not None else fit(order.notional / verdict.reserve_px)
    qty, notional = _added(verdict, order)
    holding = exposure.holding(account.broker_name, (account.bid_px + account.ask_px) / 2)
    verdict.gross_before = fit(holding.gross(), MONEY_PLACES)
    verdict.gross_after = fit(with_order(holding, order.side, qty, notional).gross(), MONEY_PLACES)
    taken = notional if order.side is Side.BUY else shorted_qty(holding, qty) * verdict.reserve_px
    verdict.buying_power_needed = fit(taken, MONEY_PLACES)


def _added(verdict: AccountVerdict, order: ProposedOrder) -> tuple[Decimal, Decimal]:
    """What the order adds to what is entered: units, and their worst value.

    Of a replace, the worse of old and new in units and in price: that is held until the broker has answered.
    """
    left, px = max(verdict.reserve_qty - order.cum_qty, order.held_qty), max(verdict.reserve_px, order.held_px)
    return left - order.held_qty, max(left * px - order.held_notional, Decimal(0))


def _closing_denials(
    verdict: AccountVerdict, order: ProposedOrder, account: CandidateAccount, exposure: Exposure, book: Rulebook
) -> Iterable[Denial]:
    """What halts that let only closing orders pass have against this one."""
    halts = [one for one in book.halts_on(account.broker_name, order.symbol) if wants_less(one, order)]
    if not halts:
        return
    (qty, notional), held = _added(verdict, order), exposure.holding(account.broker_name)
    halt = next((one for one in halts if adds_exposure(one, order, held, qty=qty, notional=notional)), None)
    if halt:
        free = max(closable(held, order.side), Decimal(0))
        yield Denial("TRADING_HALTED", words_of(halt, order, qty, free), "order_qty", plain(qty), plain(free))


def _size_denials(
    verdict: AccountVerdict, order: ProposedOrder, account: CandidateAccount, book: Rulebook
) -> Iterable[Denial]:
    where = {"broker_name": account.broker_name, "symbol": order.symbol}
    max_qty = book.limit(Control.MAX_ORDER_QTY, **where)
    yield from exceeds("QUANTITY_EXCEEDS_MAXIMUM", "order_qty", "order_qty", verdict.reserve_qty, max_qty)
    value = fit(verdict.reserve_qty * verdict.reserve_px, MONEY_PLACES)
    max_value = book.limit(Control.MAX_ORDER_NOTIONAL, **where)
    yield from exceeds("NOTIONAL_EXCEEDS_MAXIMUM", "order_qty", "notional", value, max_value)


def _holding_denials(
    verdict: AccountVerdict, order: ProposedOrder, account: CandidateAccount, exposure: Exposure
) -> Iterable[Denial]:
    if order.side is Side.SELL and not account.can_short:
        holding = exposure.holding(account.broker_name)
        more = max(verdict.reserve_qty - order.cum_qty - order.held_qty, Decimal(0))
        if shorted_qty(holding, more) > 0:
            free = max(holding.position_qty - holding.open_sell_qty, Decimal(0))
            detail = f"order_qty={plain(more)}, free to sell={plain(free)}: no short sale here"
            yield Denial("SHORT_SALE_NOT_ALLOWED", detail, "order_qty", plain(more), plain(free))
    needed = verdict.buying_power_needed
    if needed > account.buying_power:
        detail = f"needed={plain(needed)}, available={plain(account.buying_power)}"
        yield Denial("INSUFFICIENT_BUYING_POWER", detail, "order_qty", plain(needed), plain(account.buying_power))


def _exposure_denials(
    verdict: AccountVerdict, account: CandidateAccount, exposure: Exposure, book: Rulebook, total_value: Decimal
) -> Iterable[Denial]:
    more = verdict.gross_after - verdict.gross_before
    if more <= 0:
        return
    if account.unreconciled:
        detail = f"desk and broker do not agree: {account.unreconciled}"
        yield Denial("ACCOUNT_NOT_RECONCILED", detail, found=account.unreconciled)
    row, account_row = exposure.symbols[account.broker_name], exposure.accounts[account.broker_name]
    account_gross = account_row.gross - row.gross + verdict.gross_after
    firm_gross = exposure.gross - row.gross + verdict.gross_after
    limit = book.limit(Control.PORTFOLIO_RISK_LIMIT)
    yield from exceeds("GROSS_EXPOSURE_EXCEEDS_LIMIT", "order_qty", "gross_exposure", firm_gross, limit)
    if total_value <= 0:
        yield Denial("NO_PORTFOLIO_VALUE", "the portfolio's value is not known: sync the brokers first")
        return
    share = share_of(account_gross, total_value)
    limit = book.limit(Control.MAX_BROKER_ALLOCATION, broker_name=account.broker_name)
    yield from exceeds("BROKER_ALLOCATION_EXCEEDS_LIMIT", "order_qty", "broker_share", share, limit)


def share_of(gross: Decimal, total_value: Decimal) -> Decimal:
    """An account's gross exposure over the portfolio's total value.

    Rounded up to as many places as a limit can have: what passes a limit, however little, does not seem to be at it.
    """
    return (gross / total_value).quantize(Decimal(1).scaleb(-QUANTITY_PLACES), rounding=ROUND_UP)


def portfolio_denials(gross: Mapping[str, Decimal], total_value: Decimal, book: Rulebook) -> Iterable[Denial]:
    """What stands against the portfolio as it is: gross exposure, and each account's share. `gross` is by account."""
    firm_gross = sum(gross.values(), Decimal(0))
    limit = book.limit(Control.PORTFOLIO_RISK_LIMIT)
    yield from exceeds("GROSS_EXPOSURE_EXCEEDS_LIMIT", "", "gross_exposure", firm_gross, limit)
    for name, value in gross.items() if total_value > 0 else ():
        share, limit = share_of(value, total_value), book.limit(Control.MAX_BROKER_ALLOCATION, broker_name=name)
        for denial in exceeds("BROKER_ALLOCATION_EXCEEDS_LIMIT", "", "broker_share", share, limit):
            yield replace(denial, broker_name=name)


def _judge_diversification(verdict: Verdict, book: Rulebook, exposure: Exposure) -> None:
    wanted, enabled = book.limit(Control.MIN_BROKER_DIVERSIFICATION), len(exposure.accounts)
    if wanted is None or enabled >= wanted:
        return
    text = f"enabled accounts={enabled}, wanted={plain(wanted)}"
    denial = Denial("TOO_FEW_BROKERS", text, found=str(enabled), limit=plain(wanted))
    (verdict.denials if book.is_hard(Control.MIN_BROKER_DIVERSIFICATION) else verdict.warnings).append(denial)


def reservation(verdict: AccountVerdict) -> Mapping[str, Decimal]:
    """What an accepted order holds: the columns of its row."""
    return {
        "reserve_total_qty": verdict.reserve_qty,
        "reserve_px": verdict.reserve_px,
        "buying_power_held": verdict.buying_power_needed,
    }
