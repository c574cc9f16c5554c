"""Start the sandbox: profile, storage, quotes, HTTP and TWS; run until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from brokers.sandbox.accounts import ProfileError, load_profile
from brokers.sandbox.alpaca.gate import Front
from brokers.sandbox.alpaca_server import build_app
from brokers.sandbox.control import add_control
from brokers.sandbox.faults import Mischief
from brokers.sandbox.feed import Feed
from brokers.sandbox.history import History, read_history
from brokers.sandbox.replay import SAMPLE_DATA, DataError, find_days
from brokers.sandbox.storage import Store
from brokers.sandbox.tws.gateway import Gateway
from brokers.sandbox.tws.server import TwsServer
from brokers.sandbox.venue import Venue

log = logging.getLogger("sandbox")
SECRET_VARIABLE = "SANDBOX_ADMIN_SECRET"
STORE_FILE = "sandbox.sqlite3"
SHUTDOWN_S = 2.0
CLEANUP_S = 8.0


class CannotStart(Exception):
    """The sandbox cannot be started as asked; one line that says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run: `port` 0 takes a free one, `speed` 0 holds the quotes still, a secret opens the tests' endpoint.

    `tws_port` 0 leaves the ports of the accounts at Interactive Brokers to the profile.
    """

    profile: Path
    storage: Path
    host: str = "127.0.0.1"
    port: int = 0
    tws_port: int = 0
    data: Path = SAMPLE_DATA
    speed: float = 1.0
    ready_file: Path | None = None
    admin_secret: str = ""


def admin_secret() -> str:
    """The test endpoint's secret from the environment. Raises CannotStart when there is none."""
    secret = os.environ.get(SECRET_VARIABLE, "")
    if not secret:
        raise CannotStart(f"--test-admin needs a secret in {SECRET_VARIABLE}")
    return secret


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotStart."""
    if options.admin_secret and not _is_loopback(options.host):
        raise CannotStart(f"the test endpoint is for loopback only, not for {options.host}")
    try:
        profile = load_profile(options.profile)
        days = find_days(options.data)
        history = read_history(options.data, before=days[0].date)
        listener = _listen(options.host, options.port)
        store = _open_store(options.storage)
    except (ProfileError, DataError, OSError) as error:
        raise CannotStart(" ".join(str(error).split())) from error
    asyncio.run(_serve(options, profile, days, history, listener, store))


async def _serve(options: Options, profile, days, history: History, listener: socket.socket, store: Store) -> None:
    venue = Venue(profile, store, history=history)
    feed = Feed(venue, days, speed=options.speed)
    mischief = Mischief({name: account.faults for name, account in profile.accounts.items()}, profile.seed)
    app = build_app(Front(venue, feed, mischief, journal_reads=bool(options.admin_secret)))
    tws = _tws_servers(options, venue, feed, mischief)
    if options.admin_secret:
        add_control(app, options.admin_secret, tws)
    feed.preload()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    playing = asyncio.create_task(feed.run())
    try:
        await feed.opened.wait()
        await web.SockSite(runner, listener).start()
        await _open_tws(tws)
        _announce(options, listener, tws)
        await _first_of(playing)
    finally:
        mischief.clear()
        try:
            await asyncio.wait_for(_end(playing, tws, runner), CLEANUP_S)
        except TimeoutError:
            log.warning("connections were left open: they did not end within %s s", CLEANUP_S)
        venue.close()


async def _end(playing: asyncio.Task, tws: dict[str, TwsServer], runner: web.AppRunner) -> None:
    playing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await playing
    for server in tws.values():
        await server.stop()
    await runner.cleanup()


def _tws_servers(options: Options, venue: Venue, feed: Feed, mischief: Mischief) -> dict[str, TwsServer]:
    """A TWS for each account at Interactive Brokers; the first gets the port of the options, if there is one."""
    servers, journal_reads = {}, bool(options.admin_secret)
    for number, (name, account) in enumerate(venue.profile.of_kind("interactive_brokers").items()):
        gateway = Gateway(name, venue, feed, mischief, journal_reads=journal_reads)
        port = options.tws_port + number if options.tws_port else account.tws.port
        servers[name] = TwsServer(gateway, options.host, port)
    return servers


async def _open_tws(servers: dict[str, TwsServer]) -> None:
    for name, server in servers.items():
        try:
            await server.open()
        except OSError as error:
            raise CannotStart(f"{name}: cannot listen on {server.host}:{server.port}: {error.strerror}") from error


async def _first_of(playing: asyncio.Task) -> None:
    """Wait for a signal to stop; a replay that ends has failed, and its error is raised."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if playing.done():
        playing.result()


def _announce(options: Options, listener: socket.socket, tws: dict[str, TwsServer]) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://{host}:{port}"
    log.warning("sandbox brokers at %s", url)
    ports = {name: server.port for name, server in tws.items()}
    for name, tws_port in ports.items():
        log.warning("sandbox TWS of %s at %s:%s", name, host, tws_port)
    if options.ready_file:
        about = {"url": url, "host": host, "port": port, "tws": ports, "pid": os.getpid()}
        partial = options.ready_file.with_suffix(".partial")
        partial.write_text(json.dumps(about), encoding="utf-8")
        partial.replace(options.ready_file)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=256, reuse_port=False)
    except OSError as error:
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


def _open_store(folder: Path) -> Store:
    folder.mkdir(parents=True, exist_ok=True)
    return Store(folder / STORE_FILE)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
