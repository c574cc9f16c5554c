"""The running desk, from nothing to ready and back: the embedded one in threads, or separate processes."""

import io
import logging
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from tradingdesk.config.record import load
from tradingdesk.queues import DESK_QUEUE, broker_queue
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
DRAIN_SECONDS = 15.0
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


def run(options: Options) -> None:
    """Run the desk until SIGTERM or Ctrl-C, then end everything that belongs to it.

    Raises:
        AlreadyRunning: another desk has the data folder.
        OSError: the address is taken.
        DeskError: the configuration is wrong.
        SandboxFailed, PartFailed: a part of the desk did not start, or ended by itself.
    """
    with only_desk_on(settings.DATA_DIR), _stop_signals() as stop:
        surroundings = Surroundings(settings.DATA_DIR)
        settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        children: list[Child] = []
        try:
            if settings.EMBEDDED:
                _run_threads(options, surroundings, children, stop)
            else:
                _run_processes(options, surroundings, children, stop)
        finally:
            stop_all(children, within=DRAIN_SECONDS)
            surroundings.forget()


def _run_threads(options: Options, surroundings: Surroundings, children: list[Child], stop: Event) -> None:
    web = Web(options.host, options.port)
    parts: list[Part] = [web]
    try:
        credentials = _prepare(_url(options.host, web.port), surroundings, children)
        worker = Worker([DESK_QUEUE, *_queues()])
        parts += [worker, Beat()]
        for part in parts[1:]:
            part.start()
        worker.wait_until_ready()
        web.start()
        _watch(options, credentials, children, stop, lambda: [part.check() for part in parts])
    finally:
        _end(parts)


def _run_processes(options: Options, surroundings: Surroundings, children: list[Child], stop: Event) -> None:
    os.environ["DESK_SECRET_KEY"] = settings.SECRET_KEY
    url = _url(options.host, options.port)
    credentials = _prepare(url, surroundings, children)
    connections.close_all()
    for child in desk_processes(options.host, options.port, _queues()):
        children.insert(0, child)
        child.start()
    _wait_until_answering(url, children, stop)
    _watch(options, credentials, children, stop, lambda: None)


def _prepare(url: str, surroundings: Surroundings, children: list[Child]) -> Credentials:
    """Everything that has to be there before the desk can take an order; accounts are read once."""
    sandbox = _start_sandbox(surroundings, children)
    call_command("migrate", verbosity=0, interactive=False)
    if sandbox is not None:
        surroundings.share({URL_NAME: sandbox.wait_until_ready()})
    load(settings.DESK_CONFIG, actor="system:desk", reason="start of the desk")
    credentials = ensure_first_user(settings.DATA_DIR / "credentials.json", url)
    for name in _account_names(enabled=True):
        try:
            call_command("sync_broker", name, stdout=io.StringIO())
        except CommandError as error:
            log.warning("%s", error)
    return credentials


def _start_sandbox(surroundings: Surroundings, children: list[Child]) -> SandboxBrokers | None:
    """Start the sandbox brokers if an account is there and the environment names no others."""
    profile = settings.BASE_DIR / "config" / SANDBOX_PROFILE
    keys = sandbox_keys(settings.DESK_CONFIG, profile)
    if keys is None:
        return None
    if os.environ.get(URL_NAME):
        surroundings.share({name: value for name, value in keys.items() if name not in os.environ})
        return None
    surroundings.share(keys)
    sandbox = SandboxBrokers(settings.DATA_DIR / "sandbox", profile)
    sandbox.start()
    children.append(sandbox)
    return sandbox


def _watch(options: Options, credentials: Credentials, children: list[Child], stop: Event, check: Callable) -> None:
    """Say that the desk is ready, and look after its parts until it is told to stop."""
    trader = DemoTrader(credentials.url, credentials.token) if options.demo and credentials.token else None
    if trader is not None:
        trader.start()
    options.say(_greeting(credentials))
    while not stop.wait(WATCH_EVERY):
        check()
        for child in children:
            child.tend()
    options.say("stopping")
    if trader is not None:
        trader.stop()


def _end(parts: list[Part]) -> None:
    """End the parts: no more requests first, no more wake-ups, then the worker, which finishes what it is at."""
    deadline = time.monotonic() + DRAIN_SECONDS
    for part in (parts[0], *reversed(parts[1:])):
        part.stop()
        if not part.join(deadline):
            log.error("the %s thread does not end", part.name)


def _wait_until_answering(url: str, children: list[Child], stop: Event) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(url):
        if time.monotonic() > deadline:
            raise PartFailed(f"{url} does not answer after {START_SECONDS:.0f} s")
        if stop.wait(0.1):
            return
        for child in children:
            child.tend()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def _account_names(**which) -> list[str]:
    accounts = apps.get_model("brokers", "BrokerAccount").objects.filter(**which)
    return list(accounts.order_by("pk").values_list("pk", flat=True))


def _queues() -> list[str]:
    """The queues of every account, disabled ones too: they may be enabled while the desk runs."""
    return [broker_queue(name) for name in _account_names()]


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
def _stop_signals() -> Iterator[Event]:
    """Turn SIGTERM, Ctrl-C and a closed terminal into an event; a person's second Ctrl-C ends the process at once.

    Another SIGTERM says nothing new: service managers and `timeout` send it to the process and to its group.
    """
    stop = Event()
    told_at = 0.0

    def told(number, frame) -> None:
        nonlocal told_at
        if not stop.is_set():
            told_at = time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - told_at > IMPATIENT_AFTER:
            os._exit(128 + number)
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, told) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
