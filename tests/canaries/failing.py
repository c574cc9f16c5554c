"""A view, a task and a thread that fail with secrets in their hands; the URLs of a desk that has that view."""

from __future__ import annotations

import logging
import threading

from celery import shared_task
from django.http import HttpRequest
from django.urls import path

from brokers.models import BrokerAccount
from brokers.secrets import resolve
from tradingdesk import urls

log = logging.getLogger(__name__)
handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500


def fail(*, where: str) -> None:
    """Fail with every account's secrets in local variables, in the error, and in the error behind it."""
    for account in BrokerAccount.objects.all():
        settings = resolve(account.settings)
        a_secret, padding = settings["secret_key"], ["x" * 4000, settings, settings["api_key"]]
        log.warning("about to fail in %s with %s", where, settings)
        log.error("wrong arguments %d", a_secret)
        try:
            raise ValueError(f"{where} knows {a_secret}", padding)
        except ValueError as error:
            log.exception("caught in %s", where, extra={"settings": settings}, stack_info=True)
            raise RuntimeError(settings) from error


def view(request: HttpRequest):
    """Fail, in a thread of its own, too; `?task` also has a worker fail."""
    if "task" in request.GET:
        task.delay()
    thread = threading.Thread(target=fail, kwargs={"where": "thread"})
    thread.start()
    thread.join()
    fail(where="view")


@shared_task
def task() -> None:
    """Fail in a worker."""
    fail(where="task")


urlpatterns = [path("fail/", view), path("api/v1/fail/", view), *urls.urlpatterns]
