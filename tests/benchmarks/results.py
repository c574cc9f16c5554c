"""What `make bench` writes down."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement: medians over the rounds, of the desk and of its baseline in the same run."""

    value: float
    unit: str
    baseline: float
    ratio: float
    n: int

    @classmethod
    def of(cls, unit: str, rounds: Iterable[tuple[float, float]], n: int) -> "Result":
        """Fold rounds of (desk, baseline); `n` is how many orders or executions the desk had in all of them."""
        values, baselines = zip(*rounds, strict=True)
        value, baseline = statistics.median(values), statistics.median(baselines)
        return cls(round(value, 2), unit, round(baseline, 2), float(f"{value / baseline:.4g}"), n)


def write(results: dict[str, Result], path: Path) -> None:
    """Write the file."""
    path.write_text(json.dumps({name: asdict(result) for name, result in results.items()}, indent=2) + "\n")


def table(results: dict[str, Result]) -> str:
    """The same for people."""
    lines = [f"{'':34}{'desk':>12}{'baseline':>12}{'ratio':>9}{'n':>7}"]
    for name, one in results.items():
        desk, baseline = f"{one.value:.1f} {one.unit}", f"{one.baseline:.1f} {one.unit}"
        lines.append(f"{name:34}{desk:>12}{baseline:>12}{one.ratio:>9.2f}{one.n:>7}")
    return "\n".join(lines)
