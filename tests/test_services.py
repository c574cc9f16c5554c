"""The servers that the suite starts for itself."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import psycopg
import pytest
import redis

from tests import environment, services

pytestmark = pytest.mark.server


def test_postgres_answers_and_brings_its_own_client_programs(pg_url):
    with psycopg.connect(pg_url) as connection:
        version = connection.info.server_version // 10000
    env = environment.desk_env("unused")
    dumper = subprocess.run(["pg_dump", "--version"], env=env, capture_output=True, text=True)
    assert version >= 16
    assert f" {version}." in dumper.stdout


def test_fresh_databases_are_migrated_and_do_not_see_each_other(pg_url):
    template = environment.migrated_postgres()
    with services.fresh_database(pg_url, template) as one, services.fresh_database(pg_url, template) as other:
        with psycopg.connect(one) as connection:
            connection.execute("CREATE TABLE only_here (n int)")
        with psycopg.connect(other) as connection:
            tables = {name for (name,) in connection.execute("SELECT tablename FROM pg_tables")}
    assert "django_migrations" in tables
    assert "only_here" not in tables


def test_fresh_database_is_dropped_while_somebody_is_connected(pg_url):
    with services.fresh_database(pg_url) as url:
        forgotten = psycopg.connect(url)
    forgotten.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_fresh_redis_databases_are_empty_and_distinct(redis_url):
    first = services.fresh_redis(redis_url)
    with redis.Redis.from_url(first) as server:
        server.set("key", "value")
    second = services.fresh_redis(redis_url)
    assert second != first
    with redis.Redis.from_url(second) as server:
        assert server.dbsize() == 0


def test_a_given_server_is_used_and_left_running(monkeypatch):
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://desk@db.example/postgres")
    monkeypatch.setenv("TEST_REDIS_URL", "redis://queue.example/0")
    with services.postgres_server() as database_url, services.redis_server() as redis_url:
        assert (database_url, redis_url) == ("postgresql://desk@db.example/postgres", "redis://queue.example/0")


@pytest.mark.skipif(sys.platform != "linux", reason="the system cannot tie a server's life to its parent's")
def test_servers_end_with_a_killed_test_run():
    code = (
        "import time; from tests.services import *\n"
        "with postgres_server() as a, redis_server() as b:\n    print(a, b, flush=True); time.sleep(600)"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # the server's user must get through
        env = os.environ | {"TMPDIR": folder}
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, cwd=environment.ROOT, env=env, stdout=subprocess.PIPE, text=True) as run:
            database_url, redis_url = run.stdout.readline().split()
            run.send_signal(signal.SIGKILL)
        _wait_for(lambda: not _answers(database_url, redis_url))


def test_environment_of_a_desk_holds_nothing_of_the_persons_own(monkeypatch, tmp_path):
    monkeypatch.setitem(os.environ, "DATABASE_URL", "postgresql://precious")
    monkeypatch.setitem(os.environ, "DESK_CONFIG", "/precious.yaml")
    env = environment.desk_env(tmp_path, PORT="8123")
    assert env["DESK_DATA_DIR"] == str(tmp_path)
    assert env["PORT"] == "8123"
    assert not {"DATABASE_URL", "REDIS_URL", "DESK_CONFIG"} & env.keys()


def _answers(database_url: str, redis_url: str) -> bool:
    try:
        psycopg.connect(database_url).close()
        return True
    except psycopg.OperationalError:
        pass
    try:
        with redis.Redis.from_url(redis_url) as server:
            return server.ping()
    except redis.ConnectionError:
        return False


def _wait_for(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
