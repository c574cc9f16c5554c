"""The signed-off report: for programs as JSON, for people as text; both are kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder


def write(report: dict[str, Any], folder: Path) -> Path:
    """Keep a report under its run's number, as JSON and text; the text's path. Again writes the same."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"migration-{report['broker_name']}-{report['run']}.txt"
    whole = json.dumps(report, indent=2, cls=DjangoJSONEncoder)
    for target, text in ((path.with_suffix(".json"), whole + "\n"), (path, as_text(report))):
        unfinished = target.with_suffix(f"{target.suffix}.part")
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, target)
    return path


def as_text(report: dict[str, Any]) -> str:
    """The report for people."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"Migration of {report['source']} into account {report['broker_name']}"
    if report["dry_run"]:
        yield "DRY RUN: nothing was kept"
    yield f"from {report['started_at']} to {report['ended_at']}, signed off by {report['signed_off_by']}"
    yield f"fingerprint of the source: {report['fingerprint']}"
    yield f"backup: {report['backup'] or 'none'}"
    yield ""
    yield f"{'table':24}{'source':>12}{'moved':>12}{'quarantined':>13}{'known before':>14}"
    for name, table in report["tables"].items():
        yield f"{name:24}" + _figures(table)
    if executions := report["tables"].get("orders", {}).get("executions"):
        yield f"{executions:,} executions were made of what orders traded"
    yield from _listed("Quarantined (each row is kept whole in migration_quarantine)", report, "reasons")
    yield from _listed("Mapped by rule (noted on each row, with what it was)", report, "rules")
    if report["without_a_home"]:
        yield ""
        yield "Left where they are, and in the backup: the desk has no home for these tables"
        yield from (f"  {name}: {count:,} rows" for name, count in report["without_a_home"].items())
    yield ""
    yield "Checks"
    for check in report["checks"]:
        told = "agree" if check["passed"] else check["found"]
        yield f"  {check['name']}: {check['compared']:,} compared, {told}"


def _figures(table: dict[str, int]) -> str:
    return f"{table['source']:>12,}{table['moved']:>12,}{table['quarantined']:>13,}{table['known_before']:>14,}"


def _listed(title: str, report: dict[str, Any], what: str) -> Iterator[str]:
    found = [(name, code, n) for name, table in report["tables"].items() for code, n in sorted(table[what].items())]
    if found:
        yield ""
        yield title
        yield from (f"  {name}: {code} {count:,}" for name, code, count in found)
