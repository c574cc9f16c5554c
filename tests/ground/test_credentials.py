"""Credentials in the database: encrypted, referred to, re-encrypted under another key, told of without their value."""

import base64
import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from brokers.secrets import MissingSecret, resolve
from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.document import ConfigurationError
from tradingdesk.config.location import database_url
from tradingdesk.config.record import load
from tradingdesk.config.references import MissingReference
from tradingdesk.credentials import keys, store
from tradingdesk.credentials.models import Credential
from tradingdesk.errors import InvalidInput, NotFound

pytestmark = pytest.mark.django_db
OLD, NEW, OTHER = (base64.urlsafe_b64encode(letter * 32).decode() for letter in (b"o", b"n", b"x"))
VALUE = "PKTESTVALUE-1234567890"


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv(keys.VARIABLE, OLD)


def kept(name: str = "alpaca_key", value: str = VALUE) -> Credential:
    return store.set_credential(name=name, value=value, actor="ann", reason="first")


def everything_stored() -> str:
    """All that stands in the tables that a credential touches, as the database gives it."""
    with connection.cursor() as cursor:
        found = []
        for table in ("credentials", "audit_events"):
            cursor.execute(f"SELECT * FROM {table}")
            found.append(repr(cursor.fetchall()))
    return "".join(found)


def test_credential_is_encrypted_and_read_back_under_its_name():
    kept()
    assert VALUE not in everything_stored()
    assert resolve({"api_key": "${db:alpaca_key}", "base_url": "http://x"}) == {
        "api_key": VALUE,
        "base_url": "http://x",
    }


def test_setting_is_told_in_the_trail_with_who_and_when_but_no_value():
    first = kept()
    second = store.set_credential(name="alpaca_key", value="another-value-1", actor="bob", reason="leaked")
    event = AuditEvent.objects.get(kind="credential.set", actor="bob")
    assert (event.entity, event.entity_key, event.reason) == ("credential", "alpaca_key", "leaked")
    assert event.before == {"set_at": first.set_at.isoformat(), "set_by": "ann"}
    assert event.after == {"set_at": second.set_at.isoformat(), "set_by": "bob"}
    assert store.value_of("alpaca_key") == "another-value-1"
    assert Credential.objects.count() == 1
    assert "another-value-1" not in everything_stored()


def test_value_that_is_given_as_the_reason_is_masked_in_the_trail():
    store.set_credential(name="alpaca_key", value=VALUE, actor="ann", reason=f"it is {VALUE} now")
    assert AuditEvent.objects.get(kind="credential.set").reason == "it is *** now"


@pytest.mark.parametrize("name", ["", "a b", "db:x", "1x", "x" * 65, "ä", "x}"])
def test_bad_name_is_refused_and_nothing_is_kept(name):
    with pytest.raises(InvalidInput, match="use letters") as refusal:
        kept(name)
    assert refusal.value.field == "name"
    assert not Credential.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("value", ["", "two\nlines", " padded ", "x" * 4097, "bell\a"])
def test_bad_value_is_refused_without_being_shown(value):
    with pytest.raises(InvalidInput) as refusal:
        kept(value=value)
    assert refusal.value.field == "secret"
    assert not value or value not in str(refusal.value)
    assert not Credential.objects.exists()


def test_reference_to_a_credential_that_is_not_there_names_the_setting_and_the_fix():
    with pytest.raises(MissingSecret, match=r"^api_key: no credential nobody is .*`manage.py set_credential nobody`$"):
        resolve({"api_key": "${db:nobody}"})


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "set DESK_CREDENTIAL_KEY in the environment, or DESK_CREDENTIAL_KEY_FILE"),
        (OTHER, "credential alpaca_key cannot be read with DESK_CREDENTIAL_KEY: give the key it was set with"),
        ("not-a-key-at-all", "DESK_CREDENTIAL_KEY: key 1 is not 32 bytes in URL-safe base64"),
        (f"{OLD},not-a-key-at-all", "DESK_CREDENTIAL_KEY: key 2 is not 32 bytes"),
    ],
)
def test_missing_wrong_or_broken_key_is_one_line_that_shows_no_key(monkeypatch, key, said):
    kept()
    monkeypatch.setenv(keys.VARIABLE, key)
    with pytest.raises(MissingSecret) as failure:
        resolve({"api_key": "${db:alpaca_key}"})
    assert str(failure.value).startswith(f"api_key: {said}")
    assert "\n" not in str(failure.value)
    assert "not-a-key-at-all" not in str(failure.value)


def test_key_comes_from_a_file_as_well(monkeypatch, tmp_path):
    kept()
    monkeypatch.delenv(keys.VARIABLE)
    (tmp_path / "key").write_text(f"{OLD}\n")
    monkeypatch.setenv(f"{keys.VARIABLE}_FILE", str(tmp_path / "key"))
    assert store.value_of("alpaca_key") == VALUE
    monkeypatch.setenv(f"{keys.VARIABLE}_FILE", str(tmp_path / "absent"))
    with pytest.raises(MissingReference, match="DESK_CREDENTIAL_KEY_FILE cannot be read"):
        store.value_of("alpaca_key")


def test_token_that_was_moved_to_another_name_is_not_taken():
    paper, live = kept("paper"), kept("live", "AKLIVEVALUE-12345")
    Credential.objects.filter(pk=paper.pk).update(token=live.token)
    with pytest.raises(MissingReference, match="credential paper: what is stored there is of another name"):
        store.value_of("paper")


def test_token_that_was_changed_is_not_taken():
    row = kept()
    Credential.objects.update(token=row.token[:-8] + ("A" * 8))
    with pytest.raises(MissingReference, match="cannot be read"):
        store.value_of("alpaca_key")


def test_removed_credential_is_gone_and_told_of():
    kept()
    store.remove_credential(name="alpaca_key", actor="bob", reason="account closed")
    assert not Credential.objects.exists()
    event = AuditEvent.objects.get(kind="credential.removed")
    assert (event.actor, event.before["set_by"], event.after) == ("bob", "ann", None)
    with pytest.raises(NotFound):
        store.remove_credential(name="alpaca_key", actor="bob")


def test_rotation_moves_every_credential_to_the_first_key_and_the_old_one_can_go(monkeypatch):
    kept("one", "value-number-1"), kept("two", "value-number-2")
    monkeypatch.setenv(keys.VARIABLE, f"{NEW},{OLD}")
    assert store.value_of("one") == "value-number-1"
    kept("three", "value-number-3")
    Credential.objects.update(encrypted_at=timezone.now() - timedelta(days=1))
    assert store.rotate(actor="ann") == 3
    monkeypatch.setenv(keys.VARIABLE, NEW)
    assert [store.value_of(name) for name in ("one", "two", "three")] == [f"value-number-{n}" for n in (1, 2, 3)]
    moved = AuditEvent.objects.filter(kind="credential.rotated").order_by("entity_key")
    assert [event.entity_key for event in moved] == ["one", "two"]
    assert set(Credential.objects.values_list("set_by", flat=True)) == {"ann"}


def test_rotating_again_changes_nothing(monkeypatch):
    kept()
    monkeypatch.setenv(keys.VARIABLE, f"{NEW},{OLD}")
    store.rotate(actor="ann")
    before, events = list(Credential.objects.values()), AuditEvent.objects.count()
    assert store.rotate(actor="ann") == 1
    assert (list(Credential.objects.values()), AuditEvent.objects.count()) == (before, events)


def test_rotation_that_cannot_read_one_credential_changes_none_and_names_it(monkeypatch):
    kept("aaa", "value-number-1")
    monkeypatch.setenv(keys.VARIABLE, OTHER)
    kept("bbb", "value-number-2")
    monkeypatch.setenv(keys.VARIABLE, f"{NEW},{OLD}")
    before, events = list(Credential.objects.values()), AuditEvent.objects.count()
    with pytest.raises(CommandError, match=r"no key of DESK_CREDENTIAL_KEY reads bbb: .*nothing changed") as failure:
        call_command("rotate_credentials")
    assert failure.value.returncode == 1
    assert (list(Credential.objects.values()), AuditEvent.objects.count()) == (before, events)


def piped(monkeypatch, text: str, *arguments: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    out = io.StringIO()
    call_command("set_credential", *arguments, stdout=out)
    return out.getvalue()


def test_command_reads_the_value_from_standard_input_and_does_not_print_it(monkeypatch):
    said = piped(monkeypatch, f"{VALUE}\n", "alpaca_key", "--reason", "new keys")
    assert said == "alpaca_key: kept; refer to it as ${db:alpaca_key}\n"
    assert store.value_of("alpaca_key") == VALUE
    assert AuditEvent.objects.get().reason == "new keys"


def test_command_takes_no_value_as_an_argument(monkeypatch, capsys):
    with pytest.raises(CommandError, match="unrecognized arguments"):
        piped(monkeypatch, "", "alpaca_key", VALUE)
    assert not Credential.objects.exists()


def test_command_removes(monkeypatch):
    kept()
    assert piped(monkeypatch, "", "alpaca_key", "--remove") == "alpaca_key: removed\n"
    with pytest.raises(CommandError) as failure:
        piped(monkeypatch, "", "alpaca_key", "--remove")
    assert failure.value.returncode == 2


def test_command_fails_with_1_without_a_key_and_with_2_for_a_bad_value(monkeypatch):
    with pytest.raises(CommandError) as failure:
        piped(monkeypatch, "", "alpaca_key")
    assert failure.value.returncode == 2
    monkeypatch.delenv(keys.VARIABLE)
    with pytest.raises(CommandError, match="set DESK_CREDENTIAL_KEY in the environment") as failure:
        piped(monkeypatch, VALUE, "alpaca_key")
    assert failure.value.returncode == 1
    assert not Credential.objects.exists()


def test_made_key_is_one_that_encrypts(monkeypatch):
    out = io.StringIO()
    call_command("make_credential_key", stdout=out)
    monkeypatch.setenv(keys.VARIABLE, out.getvalue().strip())
    kept()
    assert store.value_of("alpaca_key") == VALUE


def test_file_that_refers_to_a_kept_credential_is_loaded_and_holds_the_reference(file):
    kept()
    file.replace('"${ALPACA_API_KEY}"', '"${db:alpaca_key}"')
    record = load(file, actor="ann")
    assert record.whole["brokers"]["alpaca"]["api_key"] == "${db:alpaca_key}"


def test_file_that_refers_to_a_missing_credential_is_refused_with_its_line(file):
    file.replace('"${ALPACA_API_KEY}"', '"${db:nobody}"')
    with pytest.raises(ConfigurationError, match=r"desk.yaml:4: brokers.alpaca.api_key: no credential nobody is in"):
        load(file, actor="ann")


def test_file_is_refused_without_the_key_and_the_line_says_what_to_set(file, monkeypatch):
    kept()
    file.replace('"${ALPACA_API_KEY}"', '"${db:alpaca_key}"')
    monkeypatch.delenv(keys.VARIABLE)
    with pytest.raises(ConfigurationError, match=r"desk.yaml:4: brokers.alpaca.api_key: set DESK_CREDENTIAL_KEY in"):
        load(file, actor="ann")


def test_database_url_cannot_come_from_the_database(tmp_path):
    config = tmp_path / "desk.yaml"
    config.write_text('database:\n  url: "postgres://desk:${db:password}@db.example/desk"\n')
    with pytest.raises(MissingReference, match=r"\$\{db:password\} cannot be used here"):
        database_url(config, root=tmp_path, data=tmp_path)


@pytest.mark.parametrize("key", ["base_url", "data_url"])
def test_password_in_an_accounts_url_is_refused_and_not_shown(file, key):
    text = file.path.read_text()
    file.write(text.replace('base_url: "http://127.0.0.1:1"', f'{key}: "http://ann:hunter22x@127.0.0.1:1"'))
    with pytest.raises(ConfigurationError, match="secrets stay out of the file") as refusal:
        load(file, actor="ann")
    assert "hunter22x" not in str(refusal.value)
