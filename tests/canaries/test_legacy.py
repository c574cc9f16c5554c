"""A single-broker system whose configuration, its history and its database's URL hold canaries: none comes along."""

from __future__ import annotations

import io
import json
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from orders.models import QuarantinedRow
from tests import services
from tests.canaries.places import CORES, files_below, found_in
from tests.migrate.legacy import build_postgres
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.redaction import known

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.server]

OLD = f"""
broker:
  name: alpaca
  paper_trading: true
  api_key: "{CORES["api_key"]}"
  secret_key: "{CORES["secret_key"]}"
database:
  url: "postgresql://desk:{CORES["database"]}@db.example/desk"
risk:
  max_exposure_per_trade: 0.05
alerts:
  telegram: {{bot_token: "{CORES["typed"]}"}}
"""
CHANGES = [
    ("broker", {"api_key": CORES["api_key"], "nested": [{"password": CORES["typed"]}]}),
    ("broker.secret_key", CORES["secret_key"]),
    ("", {"api_key": CORES["bad_api_key"]}),  # without a section: quarantined
    ("database", {"url": f"postgres://x:{CORES['database']}@db.example/y"}),
]


@pytest.fixture
def source(pg_url: str, monkeypatch) -> str:
    """The URL, with a password, of a legacy database on PostgreSQL."""
    monkeypatch.setattr(known, "_values", known._values)
    monkeypatch.setattr(known, "_secrets", known._secrets)
    with services.fresh_database(pg_url) as url:
        build_postgres(url, orders=40, share=0)
        with psycopg.connect(url) as database:
            for number, (section, value) in enumerate(CHANGES, start=1000):
                row = (number, "2024-03-04 05:06:07", "admin", section, json.dumps(value), json.dumps(value), "keys")
                database.execute("INSERT INTO configuration_history VALUES (%s, %s, %s, %s, %s, %s, %s)", row)
        yield url


def stored() -> str:
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found.append(repr(cursor.fetchall()))
    return "".join(found)


def test_no_secret_of_the_old_system_is_carried_over_reported_or_written(source, tmp_path: Path, settings):
    settings.DATA_DIR = tmp_path / "data"
    (tmp_path / "old.yaml").write_text(OLD)
    new, out = tmp_path / "new.yaml", io.StringIO()
    arguments = ["--config", str(tmp_path / "old.yaml"), "--write-config", str(new)]
    call_command("migrate_to_multi_broker", source, *arguments, stdout=out, stderr=out)
    said = {"printed": out.getvalue(), "new": new.read_text(), "database": stored()}
    said |= {name: text for name, text in files_below(settings.DATA_DIR).items() if "backups" not in name}
    assert any(name.startswith("migrations") for name in said)
    assert {name: found for name, text in said.items() if (found := found_in(text))} == {}
    assert ConfigurationRecord.objects.filter(legacy_id__gte=1000).count() == 3
    assert QuarantinedRow.objects.get(source_table="configuration_history").row["new_value"] == {"api_key": "***"}
    assert "${DATABASE_PASSWORD}" in said["new"]


@pytest.mark.parametrize("password", [f"a/{CORES['database']}", f"{CORES['database']}/a", f"[{CORES['database']}"])
@pytest.mark.parametrize("port", ["", ":1"])
def test_url_that_cannot_be_read_or_reached_is_not_shown(password, port, tmp_path, settings):
    settings.DATA_DIR = tmp_path
    with pytest.raises(CommandError) as failure:
        call_command("migrate_to_multi_broker", f"postgresql://desk:{password}@127.0.0.1{port}/x", stdout=io.StringIO())
    assert found_in(str(failure.value)) == set()
