"""Every adapter goes through the suite."""

from brokers.registry import adapter_names
from tests.conformance.harnesses import harness_names


def test_every_adapter_has_a_harness():
    assert harness_names() == adapter_names()
