"""Work out the new sums for the totals that there are; rates and betas of others come with the first refresh."""

from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Decimal

from django.conf import settings
from django.db import migrations

NAMES = ("gross", "net_high", "net_low", "without_rate", "without_beta")
SIXTH = Decimal("0.000001")


def fill(apps, schema_editor):
    total, instrument = apps.get_model("risk", "ExposureTotal"), apps.get_model("brokers", "Instrument")
    symbols = total.objects.exclude(symbol="")
    facts = {
        symbol: (sector, currency)
        for symbol, sector, currency in instrument.objects.filter(symbol__in=symbols.values("symbol")).values_list(
            "symbol", "sector", "currency"
        )
    }
    above = defaultdict(lambda: dict.fromkeys(NAMES, 0))
    for row in symbols.iterator(chunk_size=2000):
        row.sector, currency = facts.get(row.symbol, ("", ""))
        row.fx_rate = Decimal(1) if currency == settings.DESK_BASE_CURRENCY else None
        _sum_up(row)
        row.save()
        for key in filter(None, (f"1:{row.broker_name}", row.sector and f"3:{row.broker_name}:{row.sector}")):
            for name in NAMES:
                above[key][name] += getattr(row, name)
    for key, sums in sorted(above.items()):
        _, broker_name, *sector = key.split(":", 2)
        total.objects.update_or_create(
            key=key, defaults={"broker_name": broker_name, "sector": "".join(sector), **sums}
        )


def _sum_up(row):
    value = row.position_qty * row.mark_px
    row.net_high = (value + row.open_buy_notional).quantize(SIXTH, ROUND_HALF_EVEN)
    row.net_low = (value - row.open_sell_notional).quantize(SIXTH, ROUND_HALF_EVEN)
    row.gross = max(abs(row.net_high), abs(row.net_low))
    row.without_rate = int(bool(row.gross) and row.fx_rate is None)
    row.without_beta = int(bool(row.gross))


def take_sectors_away(apps, schema_editor):
    apps.get_model("risk", "ExposureTotal").objects.filter(key__startswith="3:").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("risk", "0006_sums_by_side_and_sector"),
        ("brokers", "0007_margins_rates_and_beta"),
    ]

    operations = [migrations.RunPython(fill, take_sectors_away)]
