"""The benchmarks run and write down what CONTRACT names; how fast the desk is, `make bench` says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.results import Result, table, write
from tests.environment import ROOT

NAMES = {
    "order_path_1",
    "order_path_8",
    "orders_accepted_32",
    "orders_accepted_while_sending_32",
    "orders_acknowledged_32",
    "executions_booked",
    "stream_to_booked_postgresql",
    "stream_to_booked_sqlite",
    "risk_gate",
    "risk_gate_growth",
    "migration_rows",
}
AT_MOST_S = 900


def test_result_is_the_median_of_the_rounds_of_each_side():
    result = Result.of("ms", [(30.0, 20.0), (90.0, 10.0), (40.0, 30.0)], n=9)

    assert result == Result(value=40.0, unit="ms", baseline=20.0, ratio=2.0, n=9)


def test_results_are_written_by_name_with_their_five_figures(tmp_path):
    path = tmp_path / "results.json"
    results = {"order_path_1": Result.of("ms", [(30.0, 20.0)], n=3)}

    write(results, path)

    figures = {"value": 30.0, "unit": "ms", "baseline": 20.0, "ratio": 1.5, "n": 3}
    assert json.loads(path.read_text()) == {"order_path_1": figures}
    assert "order_path_1" in table(results)


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.flow
def test_quick_benchmark_measures_everything_and_writes_the_file(tmp_path: Path):
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--output", str(output)]

    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=AT_MOST_S)

    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    assert results.keys() == NAMES
    for name, result in results.items():
        assert result.keys() == {"value", "unit", "baseline", "ratio", "n"}, name
        assert result["value"] > 0, name
        assert result["baseline"] > 0, name
        assert result["ratio"] == pytest.approx(result["value"] / result["baseline"], rel=0.05), name
        assert result["n"] > 0, name
    assert "worker" in done.stdout
    assert "round trips" in done.stdout
