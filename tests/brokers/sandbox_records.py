"""What the sandbox's own books say of its accounts, those at a TWS in the words of those at Alpaca."""

from typing import Any

from tests.brokers.sandbox_process import SandboxProcess

# TWS has no word for an expiry; a rejection after the acceptance is listed as a cancel to who did not hear it.
TWS_SHOWS = {
    "expired": ("canceled",),
    "rejected": ("rejected", "canceled"),
    "done_for_day": ("new", "partially_filled"),
    "suspended": ("new", "partially_filled", "suspended"),
}


def records(sandbox: SandboxProcess) -> dict[str, dict[str, Any]]:
    """The venue's own record of each account, by name."""
    at_tws = {account: as_tws_shows(sandbox.admin.tws(account).record()) for account in sandbox.tws_accounts}
    return {account: sandbox.admin.record(account) for account in sandbox.accounts} | at_tws


def as_tws_shows(record: dict[str, Any]) -> dict[str, Any]:
    """A TWS's record without what it never took, each order with the statuses that TWS's words for it can mean.

    What waits for its entry, or was cancelled as it did, has not been at the venue and yet was taken.
    """
    taken = [raw for raw in record["orders"] if raw["venue_order_id"] or _was_child(raw)]
    return record | {"orders": [raw | {"shown_as": _shown_as(raw)} for raw in taken]}


def _was_child(raw: dict[str, Any]) -> bool:
    return raw["waits_for"] == "parent" or raw["status"] == "canceled"


def _shown_as(raw: dict[str, Any]) -> tuple[str, ...]:
    if not raw["venue_order_id"]:
        return ("new",) if raw["waits_for"] else ("canceled", "rejected")
    return TWS_SHOWS.get(raw["status"], ())


def is_shown_as(raw: dict[str, Any], status: str) -> bool:
    """Whether an order of a record has this status, as far as its broker's words can tell."""
    return status in (raw.get("shown_as") or (raw["status"],))
