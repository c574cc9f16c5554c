"""People signed in to the back office, and a desk with one row of everything."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from risk.rulebook import forget
from tests import factories


@pytest.fixture
def admin_of(db) -> Callable[..., Client]:
    """Sign a person of these groups in: `admin_of("trader")`."""

    def make(*groups: str) -> Client:
        person = factories.member_of(*groups)
        person.is_staff = True
        person.save()
        return signed_in(person)

    return make


@pytest.fixture
def superuser(db) -> Client:
    """A client that may do everything."""
    return signed_in(User.objects.create_superuser("root-user"))


@pytest.fixture
def desk(db):
    """A desk of two accounts that takes orders."""
    forget()
    yield factories.trading_desk()
    forget()


def signed_in(person: User) -> Client:
    """A client with the person's session, which answers errors as a server would."""
    client = Client()
    client.force_login(person)
    return client
