"""Named sets of orders and requests; no decisions."""

from datetime import datetime

from django.db import models

from orders import lifecycle
from tradingdesk.fix import RequestState


class OrderQuerySet(models.QuerySet):
    def locked(self):
        """Orders in the order of their keys, locked until the transaction ends; facts about them may be added."""
        return self.select_for_update(of=("self",), no_key=True).order_by("pk")

    def open(self):
        """Orders that may still trade or are in doubt."""
        return self.filter(status__in=lifecycle.OPEN)

    def in_flight(self):
        """Orders the desk took and no broker has acknowledged."""
        return self.filter(status__in=lifecycle.IN_FLIGHT)

    def entered(self):
        """Orders that were entered in the desk, by people or programs: not those it only learned of."""
        source = self.model.Source
        return self.exclude(source__in=[source.EXTERNAL, source.ADJUSTMENT, source.LEGACY])

    def unrouted(self):
        """Orders the desk took, or holds back for approval, that go to no account yet."""
        return self.open().filter(account=None)

    def cancellable(self):
        """Orders a cancel makes sense for."""
        return self.filter(status__in=lifecycle.CANCELLABLE)

    def to_cancel(self):
        """Orders to ask a cancel for when all are to go: legs go with the order that they were placed with."""
        return self.cancellable().exclude(parent__status__in=lifecycle.CANCELLABLE)

    def outcome_unknown(self):
        """Orders whose last request may or may not have been taken."""
        return self.filter(outcome_unknown_since__isnull=False)


class OrderRequestQuerySet(models.QuerySet):
    def unanswered(self):
        """Requests the broker has not answered, sent or not."""
        return self.filter(state__in=[RequestState.QUEUED, RequestState.SENDING, RequestState.UNKNOWN])

    def due(self, now: datetime):
        """Queued requests whose time has come."""
        return self.filter(state=RequestState.QUEUED).filter(models.Q(not_before=None) | models.Q(not_before__lte=now))
