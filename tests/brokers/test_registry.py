"""Adapters are found by their folders."""

import subprocess
import sys

import pytest

from brokers.adapter import BrokerAdapter, Capabilities
from brokers.registry import UnknownAdapter, adapter_class, adapter_names


def test_alpaca_is_found_and_files_are_not():
    assert "alpaca" in adapter_names()
    assert all(name.isidentifier() for name in adapter_names())


@pytest.mark.parametrize("name", adapter_names())
def test_every_adapter_has_label_capabilities_and_a_check_of_its_settings(name):
    adapter = adapter_class(name)
    assert issubclass(adapter, BrokerAdapter)
    assert adapter.label
    assert isinstance(adapter.capabilities, Capabilities)
    assert adapter.check_settings({}) != []


def test_unknown_adapter_names_those_there_are():
    with pytest.raises(UnknownAdapter, match=r"'alpcaa'.*alpaca"):
        adapter_class("alpcaa")


def test_names_are_told_without_importing_an_sdk():
    code = "import sys; from brokers.registry import adapter_names; print(*adapter_names(), 'alpaca' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split() == [*adapter_names(), "False"]
