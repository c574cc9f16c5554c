"""ib_insync in ib_async's stead: in an environment of its own, as the two overwrite each other's event package."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
END_S = 500
PINS = ROOT / "requirements" / "ib_insync.txt"


@pytest.fixture(scope="module")
def libraries(request) -> Path:
    """A folder with ib_insync and what belongs to it, made once and kept in the cache."""
    folder = request.config.cache.mkdir("ib_insync") / PINS.read_text().partition("ib-insync==")[2].split()[0]
    if not (folder / "ib_insync").exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "-r", str(PINS), "--target", str(folder)]
        made = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        if made.returncode:
            pytest.skip(f"ib_insync cannot be installed here: {made.stderr.strip().splitlines()[-1:]}")
    return folder


@pytest.mark.slow
def test_adapter_lives_through_an_order_with_ib_insync(libraries):
    result = run_with(
        "import runpy; runpy.run_module('tests.brokers.ib_insync_script', run_name='__main__')", libraries
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["library"] == "ib_insync"
    assert found["told"] == ["new", "trade", "canceled"]
    assert found["trade"] == ["4", "13.2", "0.35"]
    assert (found["price"], found["missing"]) == ("14.5", None)


@pytest.mark.slow
def test_adapter_conforms_with_ib_insync(libraries, tmp_path):
    options = [
        "tests/conformance",
        "-q",
        "-k",
        "interactive_brokers",
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path}",
    ]
    named = "from brokers.adapters.interactive_brokers import library; assert library.NAME == 'ib_insync'; "
    result = run_with(f"{named}import pytest; sys.exit(pytest.main({options}))", libraries)
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout


def run_with(script: str, libraries: Path) -> subprocess.CompletedProcess:
    """Run this with ib_insync; ib_async is hidden: its place in the path is behind a module that is not there.

    Tests that it runs are all run there, whichever of the suite's processes this is.
    """
    hide = "import sys; sys.modules['ib_async'] = None; "
    path = os.pathsep.join([str(libraries), str(ROOT), sysconfig.get_path("purelib")])
    env = {name: value for name, value in os.environ.items() if name != "DESK_TEST_PART"} | {"PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", hide + script],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=END_S, check=False,
    )  # fmt: skip
