"""People with tokens, and a desk to talk to."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from risk.rulebook import forget
from tests import factories


@pytest.fixture
def client_of(db) -> Callable[..., APIClient]:
    """Make a client with the token of a person in these groups: `client_of("trader")`."""

    def make(*groups: str) -> APIClient:
        return with_token(factories.member_of(*groups))

    return make


@pytest.fixture
def trader(client_of) -> APIClient:
    return client_of("trader")


@pytest.fixture
def viewer(client_of) -> APIClient:
    return client_of("viewer")


@pytest.fixture
def desk(db):
    """A desk of two accounts that takes orders."""
    forget()
    yield factories.trading_desk()
    forget()


def with_token(user: User) -> APIClient:
    """Make a client that sends the user's token, and answers 500 as a server would instead of raising."""
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user=user).key}")
    return client
