"""Facts stay as they were written, on both databases; one bypass, which leaves its mark."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from tradingdesk.audit import trail
from tradingdesk.audit.models import AuditEvent
from tradingdesk.audit.protection import amend_facts, fact_tables, missing_triggers, protect_facts, wanted_triggers
from tradingdesk.audit.triggers import guard_of
from tradingdesk.errors import InvalidInput
from tradingdesk.facts import FactChangeRefused

FACT_TABLES = [
    "audit_events",
    "broker_messages",
    "configuration_history",
    "executions",
    "risk_decisions",
    "routing_decisions",
]


def execute(statement: str, *parameters) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(parameters))


def refused(statement: str) -> bool:
    """Run a statement in a savepoint; whether the triggers stopped it."""
    try:
        with transaction.atomic():
            execute(statement)
    except IntegrityError as error:
        return "facts are written once" in str(error)
    return False


@pytest.fixture
def event(db) -> AuditEvent:
    trail.record(trail.event("order.new", actor="ann", reason="as written"))
    return AuditEvent.objects.get()


def test_every_concrete_fact_is_among_the_protected_tables():
    assert set(FACT_TABLES) <= set(fact_tables())


@pytest.mark.django_db
def test_catalogue_lists_the_triggers_of_each_fact_table():
    verbs = ["update", "delete"] + ["truncate"] * (connection.vendor == "postgresql")
    in_catalogue = sorted(guard_of(connection).found(fact_tables()))
    assert in_catalogue == sorted((table, f"{table}_no_{verb}") for table in fact_tables() for verb in verbs)
    assert missing_triggers() == []


@pytest.mark.parametrize("statement", ["UPDATE audit_events SET reason = 'other'", "DELETE FROM audit_events"])
def test_changing_a_fact_by_raw_sql_is_refused_and_nothing_changes(event, statement):
    assert refused(statement)
    assert AuditEvent.objects.get().reason == "as written"


def test_changing_a_fact_through_the_base_manager_is_refused_by_the_database(event):
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEvent._base_manager.filter(pk=event.pk).update(reason="other")
    assert AuditEvent.objects.get().reason == "as written"


@pytest.mark.parametrize("change", ["update", "delete", "save", "delete_one"])
def test_changing_a_fact_through_the_orm_is_refused_before_the_database(event, change):
    calls = {
        "update": lambda: AuditEvent.objects.update(reason="other"),
        "delete": lambda: AuditEvent.objects.all().delete(),
        "save": event.save,
        "delete_one": event.delete,
    }
    with pytest.raises(FactChangeRefused):
        calls[change]()


@pytest.mark.django_db
@pytest.mark.parametrize("table", FACT_TABLES)
def test_truncate_is_refused_on_every_fact_table(table):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no TRUNCATE")
    assert refused(f"TRUNCATE {table} CASCADE")


def test_replica_role_of_a_superuser_does_not_pass_the_triggers_by(event):
    if connection.vendor != "postgresql":
        pytest.skip("session_replication_role is PostgreSQL's")
    with transaction.atomic():
        execute("SET LOCAL session_replication_role = replica")
        assert refused("UPDATE audit_events SET reason = 'other'")


def test_protecting_again_changes_nothing_and_a_lost_or_disabled_trigger_comes_back(event):
    schema_version = {"sqlite": "PRAGMA schema_version", "postgresql": "SELECT max(oid)::bigint FROM pg_trigger"}
    with connection.cursor() as cursor:
        before = cursor.execute(schema_version[connection.vendor]).fetchone()
        protect_facts()
        assert cursor.execute(schema_version[connection.vendor]).fetchone() == before
    execute(guard_of(connection).dropping("executions", "executions_no_update"))
    if connection.vendor == "postgresql":
        execute("ALTER TABLE audit_events DISABLE TRIGGER audit_events_no_delete")
        assert missing_triggers() == ["audit_events_no_delete", "executions_no_update"]
    else:
        assert missing_triggers() == ["executions_no_update"]
    protect_facts()
    assert missing_triggers() == []
    assert refused("DELETE FROM audit_events")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["audit_events", "configuration_history"])
def test_triggers_are_back_after_a_table_is_rebuilt_and_migrate_ran(table):
    rebuild(table)
    if connection.vendor == "sqlite":
        assert missing_triggers() == wanted_triggers()[table]
    call_command("migrate", verbosity=0)
    assert missing_triggers() == []
    trail.record(trail.event("order.new", actor="ann"))
    assert refused("DELETE FROM audit_events")


def rebuild(table: str) -> None:
    """Alter a column there and back as a migration does, which on SQLite makes the table anew."""
    model = next(model for model in _state().apps.get_models() if model._meta.db_table == table)
    field = model._meta.get_field("reason")
    wider = models.CharField(max_length=500, blank=True, default="")
    wider.set_attributes_from_name("reason")
    for old, new in ((field, wider), (wider, field)):
        with connection.schema_editor() as editor:
            editor.alter_field(model, old, new, strict=False)


def _state() -> ProjectState:
    return MigrationLoader(connection).project_state()


@pytest.mark.django_db(transaction=True)
def test_transactional_tests_start_with_no_facts_left_by_others_first():
    trail.record(trail.event("order.new", actor="ann"))
    assert AuditEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_transactional_tests_start_with_no_facts_left_by_others_second():
    test_transactional_tests_start_with_no_facts_left_by_others_first()
    assert missing_triggers() == []


def test_amendment_changes_the_fact_and_leaves_its_event(event):
    with amend_facts(
        actor="owner", reason="name of a person removed", entity_key=str(event.pk), before={"actor": "ann"}
    ):
        execute("UPDATE audit_events SET actor = 'removed' WHERE id = %s", event.pk)
    assert AuditEvent.objects.get(pk=event.pk).actor == "removed"
    left = AuditEvent.objects.get(kind="audit.amended")
    assert (left.actor, left.reason, left.before) == ("owner", "name of a person removed", {"actor": "ann"})
    assert refused("DELETE FROM audit_events")


def test_amendment_that_fails_leaves_no_change_and_no_way_past_the_triggers(event):
    with pytest.raises(IntegrityError, match=r"NOT NULL|not-null"), amend_facts(actor="owner", reason="a try"):
        execute("UPDATE audit_events SET actor = 'removed', kind = NULL")
    assert AuditEvent.objects.get().actor == "ann"
    assert refused("DELETE FROM audit_events")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET reason = 'x' WHERE kind = 'audit.amended'",
        "DELETE FROM audit_events WHERE kind = 'audit.amended'",
    ],
)
def test_event_of_an_amendment_can_never_be_amended(event, statement):
    with amend_facts(actor="owner", reason="a try"):
        assert refused(statement)
    assert AuditEvent.objects.filter(kind="audit.amended", reason="a try").count() == 1


def test_truncate_is_refused_even_in_an_amendment(event):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no TRUNCATE")
    with amend_facts(actor="owner", reason="a try"):
        assert refused("TRUNCATE audit_events")


def test_amendment_needs_a_reason(event):
    with pytest.raises(InvalidInput), amend_facts(actor="owner", reason=" "):
        pytest.fail("the block must not run")


@pytest.mark.django_db(transaction=True)
def test_amendment_needs_an_open_transaction():
    with pytest.raises(FactChangeRefused), amend_facts(actor="owner", reason="a try"):
        pytest.fail("the block must not run")
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_way_past_the_triggers_cannot_outlive_its_transaction():
    """By hand, without the context manager: the database itself ends what was opened."""
    trail.record(trail.event("order.new", actor="ann"), trail.event("audit.amended", actor="owner"))
    first, amendment = AuditEvent.objects.order_by("id")
    if connection.vendor == "sqlite":
        with pytest.raises(IntegrityError, match="FOREIGN KEY"), transaction.atomic():
            guard_of(connection).open(amendment.pk)
    else:
        execute("SELECT set_config('desk.amendment', %s, false)", str(amendment.pk))
    assert refused(f"DELETE FROM audit_events WHERE id = {first.pk}")
    if connection.vendor == "postgresql":
        execute("RESET desk.amendment")


@pytest.mark.django_db
def test_amendment_by_a_role_that_does_not_own_the_tables_is_refused(event):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no roles")
    execute("CREATE ROLE desk_clerk")
    execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO desk_clerk")
    execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO desk_clerk")
    execute("SET LOCAL ROLE desk_clerk")
    with amend_facts(actor="clerk", reason="a try"):
        assert refused("UPDATE audit_events SET actor = 'removed'")
    execute("RESET ROLE")
    assert AuditEvent.objects.get(pk=event.pk).actor == "ann"


def test_event_carries_its_transaction_on_postgresql(event):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_id = pg_current_xact_id() FROM audit_events")
        assert cursor.fetchall() == [(True,)]
