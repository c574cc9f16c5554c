"""The running desk, from nothing to ready and back: the embedded one in threads, or separate processes."""

import io
import logging
import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from tradingdesk.config.document import ConfigurationError
from tradingdesk.config.record import file_in_force, load
from tradingdesk.queues import BROKERS_QUEUE, DESK_QUEUE, broker_queue
from tradingdesk.running.children import Child, stop_all
from tradingdesk.running.demo import DemoTrader
from tradingdesk.running.first_user import Credentials, ensure_first_user
from tradingdesk.running.lock import only_desk_on
from tradingdesk.running.processes import desk_processes
from tradingdesk.running.sandbox import URL_NAME, SandboxBrokers, sandbox_keys
from tradingdesk.running.surroundings import Surroundings
from tradingdesk.running.threads import Beat, Part, PartFailed, Web, Worker

log = logging.getLogger(__name__)

WATCH_EVERY = 0.5
LOOK_EVERY = 0.1
DRAIN_SECONDS = 10.0
START_SECONDS = 60.0
IMPATIENT_AFTER = 1.0
SANDBOX_PROFILE = "sandbox.yaml"


@dataclass(frozen=True, slots=True)
class Options:
    """How to run; `say` is told what a person at the terminal wants to know."""

    host: str
    port: int
    demo: bool
    say: Callable[[str], None]


class _StopNow(BaseException):
    """Told to end while it still starts: no `except Exception` on the way may go on."""


class _Stop(threading.Event):
    """Set when the desk is told to end; `at_once`: what the main thread is at is broken off."""

    at_once = False


def run(options: Options) -> None:
    """Run the desk until SIGTERM or Ctrl-C, then end everything that belongs to it; also in the middle of its start.

    Raises:
        AlreadyRunning: another desk has the data folder.
        OSError: the address is taken.
        DeskError: the configuration is wrong.
        SandboxFailed, PartFailed: a part of the desk did not start, or ended by itself.
    """
    with only_desk_on(settings.DATA_DIR), _stop_signals() as stop:
        desk = _Desk(options, stop)
        try:
            stop.at_once = True
            if settings.EMBEDDED:
                desk.run_threads()
            else:
                desk.run_processes()
        except _StopNow:
            options.say("stopped before it was ready")
        finally:
            stop.at_once = False
            desk.end()
    _leave_behind_what_hangs()


class _Desk:
    """One run: what it has started so far, and what it told others."""

    def __init__(self, options: Options, stop: _Stop):
        self.options, self.stop = options, stop
        self.children: list[Child] = []
        self.surroundings = Surroundings(settings.DATA_DIR)
        settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        # Children run in the project's folder: a path that was given from here has to be whole for them.
        os.environ |= {"DESK_DATA_DIR": str(settings.DATA_DIR), "DESK_CONFIG": str(settings.DESK_CONFIG.resolve())}

    def run_threads(self) -> None:
        """Web, worker and beat as threads of this process."""
        web = Web(self.options.host, self.options.port)
        parts: list[Part] = [web]
        try:
            credentials = self._prepare(_url(self.options.host, web.port))
            worker = Worker([DESK_QUEUE, *_queues()])
            parts += [worker, Beat()]
            for part in parts[1:]:
                part.start()
            worker.wait_until_ready()
            web.start()
            self._watch(credentials, parts)
        finally:
            _end(parts)

    def run_processes(self) -> None:
        """Web, workers and beat as processes; this one looks after them."""
        os.environ["DESK_SECRET_KEY"] = settings.SECRET_KEY
        url = _url(self.options.host, self.options.port)
        credentials = self._prepare(url)
        connections.close_all()
        for child in desk_processes(self.options.host, self.options.port, _queues()):
            self.children.insert(0, child)
            child.start()
        self._wait_until_answering(url)
        self._watch(credentials, [])

    def end(self) -> None:
        """End the children, and tell others nothing any more."""
        stop_all(self.children, within=DRAIN_SECONDS)
        self.surroundings.forget()

    def _prepare(self, url: str) -> Credentials:
        """Everything that has to be there before the desk can take an order; accounts are read once."""
        sandbox = self._start_sandbox()
        call_command("migrate", verbosity=0, interactive=False)
        if sandbox is not None:
            self.surroundings.share(sandbox.wait_until_ready())
        _load_configuration()
        credentials = ensure_first_user(settings.DATA_DIR / "credentials.json", url)
        for name in _account_names(enabled=True):
            try:
                call_command("sync_broker", name, stdout=io.StringIO())
            except CommandError as error:
                log.warning("%s", error)
        return credentials

    def _start_sandbox(self) -> SandboxBrokers | None:
        """Start the sandbox brokers if an account is there and the environment names no others."""
        profile = settings.BASE_DIR / "config" / SANDBOX_PROFILE
        keys = sandbox_keys(settings.DESK_CONFIG, profile)
        if keys is None:
            return None
        if os.environ.get(URL_NAME):
            self.surroundings.share({name: value for name, value in keys.items() if name not in os.environ})
            return None
        self.surroundings.share(keys)
        sandbox = SandboxBrokers(settings.DATA_DIR / "sandbox", profile)
        self.children.append(sandbox)
        sandbox.start()
        return sandbox

    def _watch(self, credentials: Credentials, parts: list[Part]) -> None:
        """Say that the desk is ready, and look after its parts until it is told to stop."""
        self.stop.at_once = False
        wanted = self.options.demo and credentials.token
        trader = DemoTrader(credentials.url, credentials.token) if wanted else None
        if trader is not None:
            trader.start()
        self.options.say(_greeting(credentials))
        while not self.stop.wait(WATCH_EVERY):
            for part in parts:
                part.check()
            for child in self.children:
                child.tend()
        self.options.say("stopping")
        if trader is not None:
            trader.stop()

    def _wait_until_answering(self, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url) and not self.stop.wait(LOOK_EVERY):
            if time.monotonic() > deadline:
                raise PartFailed(f"{url} does not answer after {START_SECONDS:.0f} s")
            for child in self.children:
                child.tend()


def _end(parts: list[Part]) -> None:
    """End the parts: no more requests first, no more wake-ups, then the worker, which finishes what it is at."""
    deadline = time.monotonic() + DRAIN_SECONDS
    for part in (parts[0], *reversed(parts[1:])):
        part.stop()
        if not part.join(deadline):
            log.error("the %s thread does not end", part.name)


def _leave_behind_what_hangs() -> None:
    """End the process though a thread still waits for a broker: the next start asks what became of its request."""
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def _load_configuration() -> None:
    """Put the file in force.

    When it is in force already, nothing in it is wrong but what it refers to (a secret that is gone): the accounts that
    need it are not sent to, and the others trade.

    Raises:
        ConfigurationError: it says something new, and is wrong.
    """
    try:
        load(settings.DESK_CONFIG, actor="system:desk", reason="start of the desk")
    except ConfigurationError as error:
        if file_in_force(settings.DESK_CONFIG) is None:
            raise
        for line in error.detail.splitlines():
            log.error("%s", line)


def _account_names(**which) -> list[str]:
    accounts = apps.get_model("brokers", "BrokerAccount").objects.filter(**which)
    return list(accounts.order_by("pk").values_list("pk", flat=True))


def _queues() -> list[str]:
    """The queues of every account, disabled ones too, and of those that are added while the desk runs."""
    return [BROKERS_QUEUE, *(broker_queue(name) for name in _account_names())]


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _greeting(credentials: Credentials) -> str:
    lines = [f"the desk is ready at {credentials.url}/admin/"]
    if credentials.username:
        lines += [
            f"  user       {credentials.username}",
            f"  password   {credentials.password}",
            f"  API token  {credentials.token}",
        ]
    return "\n".join([*lines, "Ctrl-C stops it"])


@contextmanager
def _stop_signals() -> Iterator[_Stop]:
    """Turn SIGTERM, Ctrl-C and a closed terminal into an event; a person's second Ctrl-C ends the process at once.

    The first one breaks off what the main thread is at, while the event says `at_once`.

    Another SIGTERM says nothing new: service managers and `timeout` send it to the process and to its group.
    """
    stop = _Stop()
    told_at = 0.0

    def told(number, frame) -> None:
        nonlocal told_at
        if not stop.is_set():
            told_at = time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - told_at > IMPATIENT_AFTER:
            os._exit(128 + number)
        is_first = not stop.is_set()
        stop.set()
        if is_first and stop.at_once:
            raise _StopNow

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, told) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
