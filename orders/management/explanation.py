"""Decisions in lines for people: what the gate answered, and how the router ranked the accounts."""

from collections.abc import Iterable, Mapping
from typing import Any


def explain(accounts: Mapping[str, Any], warnings: Iterable[Mapping], routing: Mapping[str, Any]) -> Iterable[str]:
    """Tell what stands in a `RiskDecision` and a `RoutingDecision`, or in a preview."""
    for name, account in accounts.items():
        yield f"risk at {name}: {_answer(account)}"
    for warning in warnings:
        yield f"warning: {in_words(warning)}"
    yield f"routing: {routing['chosen'] or 'no account'}: {routing['reason']}"
    for candidate in routing["candidates"]:
        yield f"  {candidate['rank']}. {candidate['broker_name']}: {candidate['reason']}"


def in_words(denial: Mapping[str, str]) -> str:
    """One denial or warning in a line."""
    where = f" at {denial['broker_name']}" if denial.get("broker_name") else ""
    passes = f" – would pass: {denial['passes']}" if denial.get("passes") else ""
    return f"{denial['code']}: {denial['detail']}{where}{passes}"


def _answer(account: Mapping[str, Any]) -> str:
    if account["denials"]:
        return "; ".join(in_words(denial) for denial in account["denials"])
    return f"allowed, counted at {account['reserve_px']}, gross {account['gross_before']} -> {account['gross_after']}"
