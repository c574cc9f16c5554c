"""Back to a moment: the archive of WAL brings the database of then; `restore_desk --recovered` makes it a safe desk."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment import desk_env, manage
from tests.recovery.cluster import PRIMARY, Cluster, Server, cluster, wait_for
from tests.recovery.ledger import connected
from tests.recovery.test_backup import fails
from tests.services import _is_root

pytestmark = [pytest.mark.server, pytest.mark.slow]

TRADED = "from tests.recovery.traded import trade; trade()"
MOMENT = "before_the_mistake"


@pytest.fixture
def servers() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture
def archive(servers) -> Path:
    """Where the primary puts its WAL."""
    folder = servers.folder / "archive"
    folder.mkdir()
    if _is_root():
        shutil.chown(folder, "nobody")
    return folder


def archiving(servers: Cluster, archive: Path) -> Server:
    command = f"test ! -f {archive}/%f && cp %p {archive}/%f"
    return servers.primary(archive_mode="on", archive_command=command, archive_timeout=60)


def recovered(servers: Cluster, base: Server, archive: Path) -> None:
    """Start a base backup as docs/recovery.md says, up to the moment; it takes writes when this returns."""
    (base.data / "recovery.signal").touch()
    if _is_root():
        shutil.chown(base.data / "recovery.signal", "nobody")
    target = {"restore_command": f"cp {archive}/%f %p", "recovery_target_action": "promote"}
    servers.start(base, PRIMARY | target | {"recovery_target_name": MOMENT})
    url = servers.url(base)
    wait_for(lambda: base.execute(url, "SELECT pg_is_in_recovery()") == [(False,)], "it is promoted")


def test_database_of_a_moment_is_a_desk_that_waits_for_its_brokers(servers, archive, tmp_path):
    primary = archiving(servers, archive)
    url = servers.url(primary)
    primary.execute(url, "CREATE DATABASE desk")
    env = desk_env(tmp_path / "data", servers.url(primary, database="desk"))
    manage("migrate", "--verbosity=0", env=env)
    base = servers.copied(primary, "base", "--wal-method=stream")
    manage("shell", "-c", TRADED, env=env)
    with connected(env) as database:
        orders = database.execute("SELECT client_order_id FROM orders ORDER BY 1").fetchall()
        database.execute(f"SELECT pg_create_restore_point('{MOMENT}')")
        database.execute("DELETE FROM trade_logs")
        [(segment,)] = database.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchall()
    wait_for(lambda: (archive / segment).exists(), "the WAL is archived")
    primary.kill()

    recovered(servers, base, archive)
    then = desk_env(tmp_path / "then", servers.url(base, database="desk"))
    code, said = fails("restore_desk", "--recovered", env=then)
    assert code == 0, said
    with connected(then) as database:
        assert database.execute("SELECT client_order_id FROM orders ORDER BY 1").fetchall() == orders
        assert database.execute("SELECT count(*) FROM trade_logs").fetchone()[0] > 0
        [(epoch,)] = database.execute("SELECT restore_epoch FROM desk_state").fetchall()
        halted = database.execute("SELECT scope_key FROM risk_halts WHERE cleared_at IS NULL").fetchall()
        accounts = database.execute("SELECT broker_name FROM broker_accounts").fetchall()
    assert epoch > 1
    assert sorted(halted) == sorted(accounts)
