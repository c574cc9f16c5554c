"""The controls, one module for each subject: every `ControlSpec` in this folder is one, there is no list to edit.

To add a control, give it a name in `risk.models.Control` and a `ControlSpec` in a module here: a check as a pure
function, the scopes and the unit of its limits. The gate, the configuration file, the API and the back office then
know it. What a check must know beyond the order, the account and the exposure it names in `needs`, and
`orders.measuring` asks for it while the order's locks are taken.
"""

from collections.abc import Container, Iterable
from importlib import import_module
from pkgutil import iter_modules

from risk.controls.control import ControlSpec, Stage
from risk.models import Control
from risk.rules import Denial


def _found() -> dict[str, ControlSpec]:
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    specs = [one for module in modules for one in vars(module).values() if isinstance(one, ControlSpec)]
    return {spec.control: spec for spec in sorted(set(specs), key=lambda spec: list(Control).index(spec.control))}


SPECS = _found()
REQUIRED = tuple(spec.control for spec in SPECS.values() if spec.required)
OF_ORDERS = tuple(spec for spec in SPECS.values() if spec.check and spec.stage is Stage.ORDER)
OF_ACCOUNTS = tuple(spec for spec in SPECS.values() if spec.check and spec.stage is Stage.ACCOUNT)
_READING_CLOCKS = frozenset(spec.control for spec in SPECS.values() if spec.reads_clock)
_NEEDING = tuple(spec for spec in SPECS.values() if spec.needs)


def needs_of(controls: Container[str]) -> frozenset[str]:
    """Everything that the checks of these controls must be told."""
    return frozenset().union(*(spec.needs for spec in _NEEDING if spec.control in controls))


def wants_clock(controls: Iterable[str]) -> bool:
    """Whether one of these controls reads the market's clock at the brokers."""
    return not _READING_CLOCKS.isdisjoint(controls)


def needs_approval(warning: Denial) -> bool:
    """Whether a soft limit that an order passes wants a second person; what warns by nature only informs."""
    spec = SPECS.get(warning.control)
    return spec is None or not spec.warns_by_default
