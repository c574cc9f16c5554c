"""Desks for these tests are made as the flows make theirs."""

from tests.flows.conftest import migrated_env, new_desk, pytest_runtest_makereport, sandbox

__all__ = ["migrated_env", "new_desk", "pytest_runtest_makereport", "sandbox"]
