"""Processes that the desk keeps running, and the lock that keeps it alone."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests import environment
from tests.environment import ROOT
from tests.flows.running_desk import eventually
from tradingdesk.running.children import Child, stop_all
from tradingdesk.running.lock import AlreadyRunning, only_desk_on

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]
WORKER = """
import tradingdesk.celery
tradingdesk.celery.END_WITHIN = 2.0
tradingdesk.celery.app.worker_main(["worker", "--pool=prefork", "--concurrency=1", "--queues=desk"])
"""
PARENT = """
import sys, time
from tradingdesk.running.children import Child
child = Child("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"])
child.start()
print(child.process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def child():
    made = Child("sleeper", SLEEPER)
    made.start()
    yield made
    stop_all([made], within=5)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc").is_dir() else True


def test_child_that_dies_is_started_again_after_a_pause_that_grows(child, monkeypatch):
    clock = [time.monotonic()]
    monkeypatch.setattr("tradingdesk.running.children.time.monotonic", lambda: clock[0])
    pauses = []
    for _ in range(3):
        child.process.kill()
        child.process.wait()
        child.tend()
        assert not child.is_running
        pauses.append(child._start_again_at - clock[0])
        clock[0] += pauses[-1]
        child.tend()
        assert child.is_running
    assert pauses == pytest.approx([0.5, 1, 2])


def test_child_that_runs_is_left_alone(child):
    pid = child.process.pid
    child.tend()
    assert child.process.pid == pid


def test_children_end_when_they_are_told(child):
    stop_all([child], within=20)
    assert child.process.returncode == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_child_that_does_not_listen_is_killed_at_the_deadline():
    deaf = Child("deaf", DEAF)
    deaf.start()
    eventually(lambda: _ignores_sigterm(deaf.process.pid), "it ignores SIGTERM")
    stop_all([deaf], within=0.2)
    assert deaf.process.returncode == -signal.SIGKILL


def _ignores_sigterm(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    ignored = next(line for line in lines if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_child_ends_when_its_parent_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        pid = int(parent.stdout.readline())
        assert lives(pid)
        parent.kill()
    eventually(lambda: not lives(pid), "the child ends")


def test_folder_belongs_to_one_desk_at_a_time(tmp_path):
    data = tmp_path / "data"
    second = pytest.raises(AlreadyRunning, match=f"{data} already .process {os.getpid()}.")
    with only_desk_on(data), second, only_desk_on(data):
        pass
    with only_desk_on(data):
        pass


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_worker_whose_pool_cannot_end_is_killed_at_its_own_deadline(tmp_path):
    """As it can be after the desk was killed: then nobody else is there to do so."""
    env = environment.desk_env(tmp_path / "data", f"sqlite:///{environment.migrated_sqlite()}")
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, env=env, start_new_session=True)
    try:
        eventually(lambda: len(psutil.Process(worker.pid).children()) == 1, "the pool has started")
        (child,) = psutil.Process(worker.pid).children()
        child.suspend()
        worker.terminate()
        assert worker.wait(60) == -signal.SIGKILL
        eventually(lambda: not lives(child.pid), "the child is gone, too")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
