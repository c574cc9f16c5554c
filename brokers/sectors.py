"""The only way a person changes an instrument's sector; one that nobody has given comes from a broker that tells it."""

from django.db import transaction

from brokers.models import Instrument
from tradingdesk.audit import trail
from tradingdesk.errors import InvalidInput, require_reason

LONGEST = 64


def set_sector(*, instrument: Instrument, sector: str, actor: str, reason: str) -> Instrument:
    """Give an instrument a sector, or none (""): a broker's word is then taken again. Nothing changes if it has it.

    Raises:
        InvalidInput: no reason, or a name that is too long.
    """
    sector = " ".join(sector.split())
    require_reason(reason, "the sector changes")
    if len(sector) > LONGEST:
        raise InvalidInput("TOO_LONG", f"sector: at most {LONGEST} characters", "sector")
    with transaction.atomic():
        row = Instrument.objects.select_for_update().get(pk=instrument.pk)
        if row.sector != sector:
            _write(row, sector, actor=actor, reason=reason)
    return row


def _write(row: Instrument, sector: str, *, actor: str, reason: str) -> None:
    before, row.sector = row.sector, sector
    row.save(update_fields=["sector"])
    trail.record(
        trail.event(
            "instrument.sector_changed",
            actor=actor,
            entity="instrument",
            entity_key=row.symbol,
            symbol=row.symbol,
            before={"sector": before},
            after={"sector": sector},
            reason=reason,
        )
    )
