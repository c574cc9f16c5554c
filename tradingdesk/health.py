"""Whether the desk lives, whether it can work, and its figures for Prometheus.

What counts is known to the apps above: each offers checks and gauges, named in settings by dotted
path (`READINESS_CHECKS`, `METRICS`).
"""

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """One answer about readiness; `found` is shown to whoever asks, so it names no secret."""

    ok: bool
    found: dict[str, Any] = field(default_factory=dict)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Liveness: the process answers. It touches nothing else, so a restart is the right cure when it fails."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Readiness: 200 when every check passes, else 503; either way with what each found."""
    checks = {name: _asked(path) for name, path in settings.READINESS_CHECKS.items()}
    ready = all(check.ok for check in checks.values())
    body = {
        "status": "ready" if ready else "not ready",
        "checks": {name: {"ok": check.ok, **check.found} for name, check in checks.items()},
    }
    return JsonResponse(body, status=200 if ready else 503)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The desk's gauges, read from the database at this moment, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Collector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def database() -> Check:
    """Ask the database for anything."""
    started = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Check(True, {"engine": connection.vendor, "latency_ms": round((time.monotonic() - started) * 1000, 3)})


def gauge(name: str, meaning: str, labels: Iterable[str] = (), values: Iterable[tuple] = ()) -> GaugeMetricFamily:
    """Build one gauge; each of `values` is the labels' values followed by the figure."""
    family = GaugeMetricFamily(name, meaning, labels=list(labels))
    for *label_values, figure in values:
        family.add_metric([str(value) for value in label_values], float(figure))
    return family


def _asked(path: str) -> Check:
    """Run a check; one that fails for whatever reason means that the desk is not ready."""
    try:
        return import_string(path)()
    except Exception as error:
        logger.exception("readiness check %s", path)
        return Check(False, {"error": type(error).__name__})


class _Collector:
    def collect(self) -> Iterator[Metric]:
        for path in settings.METRICS:
            yield from import_string(path)()
