"""A PostgreSQL primary and its standby from the wheel's programs, to lose the one and go on with the other."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests import services

PRIMARY = {"wal_level": "replica", "max_wal_senders": 10, "hot_standby": "on", "wal_log_hints": "on"}
START_S = 60.0


@dataclass
class Server:
    """One server of a cluster; `kill` ends it at once, as a lost machine does."""

    data: Path
    port: int
    process: subprocess.Popen | None = None

    def execute(self, url: str, statement: str) -> list[tuple]:
        """Run a statement here, as the superuser, outside of a transaction."""
        with psycopg.connect(url, host="127.0.0.1", port=self.port, autocommit=True) as session:
            found = session.execute(statement)
            return found.fetchall() if found.description else []

    def kill(self) -> None:
        """End every process of it with SIGKILL, the server's children included."""
        group = os.getpgid(self.process.pid)
        os.killpg(group, signal.SIGKILL)
        self.process.wait(START_S)


class Cluster:
    """A folder with the programs and the servers that were made in it."""

    def __init__(self, folder: Path):
        self.folder, self.binaries = folder, services._postgres_binaries(folder)
        self.password = secrets.token_hex(16)
        self.servers: list[Server] = []

    def url(self, *servers: Server, database: str = "postgres", **options: str) -> str:
        """The URL by which libpq finds whichever of these servers fits."""
        places = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        more = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://desk:{self.password}@{places}/{database}" + (f"?{more}" if more else "")

    def primary(self, **settings: object) -> Server:
        """Make an empty server that a standby can follow."""
        server = Server(self.folder / "primary", services.free_port())
        services._init_postgres(self.binaries, server.data, self.password)
        with (server.data / "pg_hba.conf").open("a") as rules:
            rules.write("host replication desk 127.0.0.1/32 scram-sha-256\n")
        self.start(server, PRIMARY | settings)
        return server

    def copied(self, source: Server, name: str, *arguments: str) -> Server:
        """Copy a running server's data with pg_basebackup; the copy is not started."""
        server = Server(self.folder / name, services.free_port())
        command = [self.binaries / "pg_basebackup", "-D", server.data, "--no-sync", "--checkpoint=fast", *arguments]
        self._run([*command, "-h", "127.0.0.1", "-p", str(source.port), "-U", "desk"])
        return server

    def start(self, server: Server, settings: dict[str, object]) -> None:
        """Start a server with these settings and wait until it answers."""
        given = {"listen_addresses": "127.0.0.1", "port": server.port, "unix_socket_directories": "", "timezone": "UTC"}
        options = [f"--{name}={value}" for name, value in (given | {"max_connections": 100} | settings).items()]
        with (self.folder / f"{server.data.name}.log").open("a") as log:
            server.process = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(server.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=services.die_with_parent(signal.SIGQUIT),
                **services._as_server_user(),
            )
        self.servers.append(server)
        wait_for(services._postgres_is_ready(server.data), f"{server.data.name} is ready:\n{self.log(server)}")

    def log(self, server: Server) -> str:
        """What a server has said, its end."""
        return (self.folder / f"{server.data.name}.log").read_text()[-3000:]

    def stop(self) -> None:
        """End every server that still runs."""
        for server in self.servers:
            if server.process.poll() is None:
                server.kill()

    def _run(self, command: list[object]) -> None:
        done = subprocess.run(
            [str(word) for word in command],
            env=os.environ | {"PGPASSWORD": self.password},
            capture_output=True,
            text=True,
            timeout=START_S,
            **services._as_server_user(),
        )
        assert done.returncode == 0, done.stderr


def wait_for(condition: Callable[[], object], what: str, within: float = START_S) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.05)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A folder for servers, which end with the block and are removed."""
    with services._server_folder() as folder:
        if services._is_root():
            shutil.chown(folder, "nobody")
        made = Cluster(folder)
        try:
            yield made
        finally:
            made.stop()
