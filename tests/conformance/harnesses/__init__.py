"""A module for each adapter, named like its folder; its `Harness` is how the suite gets at the adapter's broker."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from tests.conformance.harness import Harness


def harness_names() -> list[str]:
    """Name every harness there is."""
    return sorted(module.name for module in iter_modules(__path__))


@cache
def harness_class(name: str) -> type[Harness]:
    """Import a harness by its module's name."""
    return import_module(f"{__name__}.{name}").Harness
