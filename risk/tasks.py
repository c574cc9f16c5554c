"""What beat has risk do, as Celery tasks; each calls one function."""

from celery import shared_task

from risk import measures


@shared_task(name="risk.tasks.refresh_measures")
def refresh_measures() -> int:
    """Bring rates, betas and sectors, and the totals that count with them, up to date."""
    return measures.refresh_measures()
