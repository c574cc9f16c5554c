"""One process at a time holds an account's long-lived connection: its stream, its client id.

A lease is a row with an expiry, kept by whoever renews it in time. A holder that is known to be
dead (its process on this machine is gone) loses it at once. What rests on it stays safe when two
hold it for a moment: facts are stored once by their ids, and requests are claimed row by row.
"""

import os
import socket
import uuid
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from brokers.models import AccountLease

LEASE_SECONDS = 15
_boot = uuid.uuid4().hex[:8]


def this_process() -> str:
    """Name this process, unlike any before it: host, process id, and a mark of its start."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}:{_boot}"


def take(broker_name: str) -> bool:
    """Take the account's lease if it is free, expired, ours, or its holder is dead. Locks the lease's row."""
    now, holder = timezone.now(), this_process()
    AccountLease.objects.bulk_create([AccountLease(account_id=broker_name)], ignore_conflicts=True)
    with transaction.atomic():
        lease = AccountLease.objects.select_for_update().get(pk=broker_name)
        if lease.holder not in ("", holder) and lease.expires_at > now and not is_dead(lease.holder):
            return False
        lease.taken_at = lease.taken_at if lease.holder == holder else now
        lease.holder, lease.expires_at = holder, now + timedelta(seconds=LEASE_SECONDS)
        lease.save()
    return True


def renew(broker_name: str) -> bool:
    """Keep a lease that is ours; False when somebody else has taken it."""
    expires_at = timezone.now() + timedelta(seconds=LEASE_SECONDS)
    ours = AccountLease.objects.filter(pk=broker_name, holder=this_process())
    return bool(ours.update(expires_at=expires_at))


def is_ours(broker_name: str) -> bool:
    """Whether this process holds the account now."""
    ours = AccountLease.objects.filter(pk=broker_name, holder=this_process(), expires_at__gt=timezone.now())
    return ours.exists()


def held_here() -> set[str]:
    """The accounts that this process holds now."""
    ours = AccountLease.objects.filter(holder=this_process(), expires_at__gt=timezone.now())
    return set(ours.values_list("pk", flat=True))


def give_back(broker_name: str) -> None:
    """Let another process have it now."""
    AccountLease.objects.filter(pk=broker_name, holder=this_process()).update(holder="", expires_at=None)


def is_dead(holder: str) -> bool:
    """Whether a holder's process is known to be gone; one on another machine is not known to be."""
    host, pid, boot = holder.rsplit(":", 2)
    if host != socket.gethostname()[:80]:
        return False
    if int(pid) == os.getpid():
        return boot != _boot
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
