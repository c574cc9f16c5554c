"""Desks for these tests are made as the flows make theirs."""

from tests.flows.conftest import migrated_env, new_desk, sandbox

__all__ = ["migrated_env", "new_desk", "sandbox"]
