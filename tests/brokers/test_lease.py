"""One process at a time holds an account's connection."""

import os
import socket
import subprocess
import sys
from datetime import timedelta

import pytest
from django.utils import timezone

from brokers import lease
from brokers.models import AccountLease
from tests.factories import BrokerAccountFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return BrokerAccountFactory()


def held_by(account, holder, seconds=10):
    AccountLease.objects.update_or_create(
        account=account, defaults={"holder": holder, "expires_at": timezone.now() + timedelta(seconds=seconds)}
    )


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_free_lease_is_taken_renewed_and_given_back(account):
    assert lease.take(account.broker_name)
    assert lease.renew(account.broker_name)
    lease.give_back(account.broker_name)
    assert AccountLease.objects.get().holder == ""
    assert not lease.renew(account.broker_name)


def test_lease_of_a_living_holder_is_refused(account):
    held_by(account, "elsewhere.example:1:abcd")
    assert not lease.take(account.broker_name)
    assert AccountLease.objects.get().holder == "elsewhere.example:1:abcd"


def test_expired_lease_is_taken(account):
    held_by(account, "elsewhere.example:1:abcd", seconds=-1)
    assert lease.take(account.broker_name)


def test_lease_of_a_dead_process_here_is_taken_at_once(account):
    held_by(account, f"{socket.gethostname()[:80]}:{dead_pid()}:abcd")
    assert lease.take(account.broker_name)


def test_earlier_process_with_this_ones_number_is_dead():
    assert lease.is_dead(f"{socket.gethostname()[:80]}:{os.getpid()}:another")
    assert not lease.is_dead(lease.this_process())
