"""People signed in to the back office, and a desk with one row of everything."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.contrib.auth.models import User
from django.db import transaction
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


@pytest.fixture(scope="module")
def desk_for_all(django_db_setup, django_db_blocker) -> Callable[[], AbstractContextManager]:
    """A desk that all tests of a module share: each sees it as the first did, as what it changes is rolled back."""

    @contextmanager
    def made() -> Iterator[None]:
        forget()
        with django_db_blocker.unblock(), transaction.atomic():
            factories.trading_desk()
            yield
            transaction.set_rollback(True)
        forget()

    return made


def signed_in(person: User) -> Client:
    """A client with the person's session, which answers errors as a server would."""
    client = Client()
    client.force_login(person)
    return client
