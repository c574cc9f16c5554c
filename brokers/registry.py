"""Which adapters there are: every folder under `brokers/adapters/`, imported when first used."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from brokers import adapters
from brokers.adapter import BrokerAdapter


class UnknownAdapter(LookupError):
    """No folder of that name under `brokers/adapters/`."""

    def __init__(self, name: str):
        super().__init__(f"no broker adapter is called {name!r}; there are: {', '.join(adapter_names()) or 'none'}")
        self.name = name


def adapter_names() -> list[str]:
    """Name every adapter there is, in alphabetical order, without importing any."""
    return sorted(module.name for module in iter_modules(adapters.__path__) if module.ispkg)


@cache
def adapter_class(name: str) -> type[BrokerAdapter]:
    """Import an adapter by its folder's name.

    Raises:
        UnknownAdapter: there is no such folder; the message names those there are.
    """
    if name not in adapter_names():
        raise UnknownAdapter(name)
    return import_module(f"{adapters.__name__}.{name}.adapter").Adapter
