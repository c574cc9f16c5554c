"""What came from a single-broker database: its signals and their decisions, the migrations, and what no rule mapped."""

from django.contrib import admin
from django.db.models import Q
from unfold.decorators import display

from orders.admin.shared import symbols_like
from orders.models import MigrationRun, QuarantinedRow, Signal, SignalDecision
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin
from tradingdesk.backoffice.lists import DayRangeFilter


@admin.register(Signal)
class SignalAdmin(ReadOnlyAdmin):
    """What strategies said; most signals have no order."""

    note = "This came from a legacy database; it is never edited."
    list_display = (
        shown.column("generated_at", "generated (UTC)", show=shown.stamp),
        "symbol",
        "direction",
        "strength",
        "confidence_score",
        shown.column("price_at_signal", "price", show=shown.number),
        "status",
        "account",
    )
    list_display_links = ("symbol",)
    list_filter = (("generated_at", DayRangeFilter),)
    list_select_related = ("account",)
    search_fields = ("symbol",)
    search_help_text = "Symbol"
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return symbols_like(term)


@admin.register(SignalDecision)
class SignalDecisionAdmin(ReadOnlyAdmin):
    """What the single-broker system's risk filter said of signals."""

    note = SignalAdmin.note
    list_display = (
        shown.column("decided_at", "decided (UTC)", show=shown.stamp),
        "symbol",
        "answer",
        "rejection_reason",
        "signal",
        "account",
    )
    list_display_links = ("symbol",)
    list_filter = ("passed", ("decided_at", DayRangeFilter))
    list_select_related = ("account", "signal")
    ordering = ("-decided_at", "-id")
    sortable_by = ()

    @display(description="answer", label={"passed": "success", "rejected": "danger"})
    def answer(self, decision: SignalDecision) -> str:
        return "passed" if decision.passed else "rejected"


@admin.register(MigrationRun)
class MigrationRunAdmin(ReadOnlyAdmin):
    """Migrations of legacy databases, with their signed-off reports."""

    note = "manage.py migrate_to_multi_broker writes this, and takes it back with --undo."
    list_display = (
        shown.column("started_at", "started (UTC)", show=shown.stamp),
        "broker_name",
        "source",
        "actor",
        shown.column("undone_at", "undone (UTC)", show=shown.stamp),
    )
    list_display_links = ("broker_name",)
    sortable_by = ()


@admin.register(QuarantinedRow)
class QuarantinedRowAdmin(ReadOnlyAdmin):
    """Legacy rows that no rule maps, whole."""

    note = "Kept as it was found. Mend it in the legacy database and migrate that again, or leave it."
    list_display = ("source_table", "source_id", "reason", "detail", "broker_name")
    list_display_links = ("source_id",)
    search_fields = ("source_id", "reason")
    search_help_text = "Old id or reason"
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return Q(source_id=term) | Q(reason=term.upper())
