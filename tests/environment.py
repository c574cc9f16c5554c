"""What the processes of a test run see: which database they use, and which variables.

A test process uses one engine for Django's database, SQLite unless DESK_TEST_ENGINE says `postgresql`. In `make test`
DESK_TEST_PART names the part of the suite that it runs: `sqlite`, `postgresql` or `desks`.
Nothing of the person's own desk (its variables, its `data/`) reaches a test.
"""

import atexit
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from tests import services

ROOT = Path(__file__).resolve().parent.parent
ENGINE = os.environ.get("DESK_TEST_ENGINE", "sqlite")
PART = os.environ.get("DESK_TEST_PART", "")
SHARED = Path(os.environ.get("DESK_SHARED", ROOT.parent / "shared"))
SECRET_KEY = secrets.token_urlsafe(48)
OF_THE_SUITE = ("DESK_SHARED", "DESK_TEST_ENGINE", "DESK_TEST_PART", "DESK_REDIS_SERVER")

_session = ExitStack()
atexit.register(_session.close)


def close() -> None:
    """Stop the servers of this process and remove its folders; again does nothing."""
    _session.close()


@cache
def folder() -> Path:
    """Give this process's own temporary folder."""
    path = Path(tempfile.mkdtemp(prefix="desk-tests-"))
    _session.callback(shutil.rmtree, path, ignore_errors=True)
    return path


@cache
def postgres_url() -> str:
    """Give the URL of this process's PostgreSQL, started at the first call."""
    return _session.enter_context(services.postgres_server())


@cache
def redis_url() -> str:
    """Give the URL of this process's Redis, started at the first call."""
    return _session.enter_context(services.redis_server())


def isolate() -> None:
    """Change this process's own environment before the desk's settings read it."""
    clean = desk_env(folder() / "data", *_own_servers(), DJANGO_SETTINGS_MODULE="tests.settings")
    os.environ.clear()
    os.environ.update(clean)


def desk_env(data: Path, database_url: str = "", redis_url: str = "", **more: str) -> dict[str, str]:
    """Build the environment of a desk of its own: every setting that is not given here is the default.

    Empty URLs mean the embedded desk, all of whose files are below `data`.
    """
    env = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    programs = [str(Path(sys.executable).parent), str(services.postgres_bin()), env.get("PATH", os.defpath)]
    env |= {
        "PATH": os.pathsep.join(programs),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "tradingdesk.settings",
        "DESK_DATA_DIR": str(data),
        "DESK_SECRET_KEY": SECRET_KEY,
    }
    urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    return env | {name: url for name, url in urls.items() if url} | more


def manage(*arguments: str, env: dict[str, str], timeout: float = 120) -> str:
    """Run one management command to its end in a process of its own; its output.

    Raises:
        AssertionError: it failed; with all that it said.
    """
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@cache
def migrated_postgres() -> str:
    """Name the database of this process's PostgreSQL that is migrated and a template for others."""
    url = _session.enter_context(services.fresh_database(postgres_url()))
    manage("migrate", "--verbosity=0", env=desk_env(folder() / "migrate-postgres", url))
    return url.rpartition("/")[2]


@cache
def migrated_sqlite() -> Path:
    """Give a migrated SQLite file to copy."""
    path = folder() / "migrated.db"
    manage("migrate", "--verbosity=0", env=desk_env(folder() / "migrate-sqlite", f"sqlite:///{path}"))
    return path


def _own_servers() -> tuple[str, str]:
    return (postgres_url(), redis_url()) if ENGINE == "postgresql" else ("", "")


def _is_setting(name: str) -> bool:
    return name in ("DATABASE_URL", "REDIS_URL", "PORT") or (name.startswith("DESK_") and name not in OF_THE_SUITE)
