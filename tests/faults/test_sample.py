"""A short sample of the fault matrix; `make test-faults` runs as much as one likes."""

import subprocess
import sys

import pytest

from tests.environment import ROOT

pytestmark = [pytest.mark.flow, pytest.mark.server, pytest.mark.slow]

SAMPLE = {"--seed": "20131007", "--orders": "36", "--kills": "4", "--faults": "24"}
END_S = 500


def test_nothing_is_lost_or_doubled_while_processes_are_killed_and_the_broker_fails(own_pg_url, own_redis_url):
    servers = {"--database-url": own_pg_url, "--redis-url": own_redis_url}
    words = [word for option in (SAMPLE | servers).items() for word in option]
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults", *words], cwd=ROOT, capture_output=True, text=True, timeout=END_S
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "nothing lost, nothing twice" in run.stdout
