"""Desks for these tests are made as the flows make theirs."""

from tests.flows.conftest import new_desk, sandbox

__all__ = ["new_desk", "sandbox"]
