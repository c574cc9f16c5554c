"""What beat has risk do, as Celery tasks; each calls one function."""

from celery import shared_task

from risk import losses, measures


@shared_task(name="risk.tasks.refresh_measures")
def refresh_measures() -> int:
    """Bring rates, betas and sectors, and the totals that count with them, up to date."""
    return measures.refresh_measures()


@shared_task(name="risk.tasks.watch_losses")
def watch_losses() -> int:
    """Measure losses, and halt what lost more than it may; how many limits are passed."""
    return len(losses.watch_losses())
