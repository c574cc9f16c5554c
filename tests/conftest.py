"""Which tests run in this process, and the fixtures that all of them share."""

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import hypothesis
import pytest
from django.test import TransactionTestCase
from playwright.sync_api import sync_playwright

from tests import environment, services
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox

pytest_plugins = ["tests.ground.flush"]
DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "admin_client", "admin_user"}
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]

# The suite tries the same examples every time; `--hypothesis-profile=explore` looks for new ones.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("suite")


def pytest_unconfigure() -> None:
    environment.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what another process runs (see CONTRIBUTING), and live tests unless they are asked for."""
    wanted = [item for item in items if _runs_here(item) and _is_asked_for(item, config)]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


def _runs_here(item: pytest.Item) -> bool:
    """In `make test`, database tests run on both engines, all others once: see CONTRIBUTING."""
    part = environment.PART
    if _uses_database(item) and not (_is(item, "browser") or _is(item, "server")):
        return part != "desks"
    return part in ("", _part_of(item))


def _part_of(item: pytest.Item) -> str:
    """Whole desks and conformance, which mostly wait, have a process of their own: no two desks at once."""
    folders = item.path.parts
    if _is(item, "flow") or "conformance" in folders:
        return "desks"
    return "postgresql" if _is(item, "server") or "recovery" in folders else "sqlite"


def _is_asked_for(item: pytest.Item, config: pytest.Config) -> bool:
    return not _is(item, "live") or "live" in config.option.markexpr


def _uses_database(item: pytest.Item) -> bool:
    by_class = isinstance(getattr(item, "cls", None), type) and issubclass(item.cls, TransactionTestCase)
    return by_class or _is(item, "django_db") or not DATABASE_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def _is(item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    report = yield
    if report.failed and _uses_database(item):
        report.sections.append(("Database", environment.ENGINE))
    return report


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference data and oracles; the test is skipped where there are none."""
    if not environment.SHARED.is_dir():
        pytest.skip(f"no reference data at {environment.SHARED}; set DESK_SHARED")
    return environment.SHARED


@pytest.fixture(scope="session")
def pg_url() -> str:
    """A real PostgreSQL: the superuser's URL."""
    return environment.postgres_url()


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A real Redis-protocol server: the URL of its database 0. Take `own_redis_url` to write to it."""
    return environment.redis_url()


@pytest.fixture
def own_redis_url(redis_url: str) -> str:
    """An empty Redis database of the test's own."""
    return services.fresh_redis(redis_url)


@pytest.fixture
def own_pg_url(pg_url: str) -> Iterator[str]:
    """A migrated PostgreSQL database of the test's own, for tests that start real processes."""
    with services.fresh_database(pg_url, template=environment.migrated_postgres()) as url:
        yield url


@pytest.fixture
def own_sqlite_url(tmp_path: Path) -> str:
    """A migrated SQLite file of the test's own, for tests that start real processes."""
    path = shutil.copy(environment.migrated_sqlite(), tmp_path / "trading.db")
    return f"sqlite:///{path}"


@pytest.fixture
def desk_env(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """`environment.desk_env` with the test's own data folder: `desk_env(database_url, redis_url, PORT="…")`."""
    return partial(environment.desk_env, tmp_path / "data")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[SandboxProcess]:
    """The sandbox brokers as a process of the module's own; the market moves only as its tests move it."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), speed=0) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium through Playwright; the test is skipped where the machine has none.

    While it is open its event loop makes Django refuse the ORM in this thread, so that check is off; tests of
    async code belong in other modules, where it is on.
    """
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine; give one with CHROMIUM=/path")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        running = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def page(browser) -> Iterator:
    """A fresh page of the browser; waits at most 15 s for what a test expects of it."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()
