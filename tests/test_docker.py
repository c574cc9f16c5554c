"""The container files, as far as they can be judged without running containers."""

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from celery.bin.celery import celery as celery_command
from django.core.management import get_commands

from tests.environment import ROOT, desk_env, manage
from tradingdesk.credentials.keys import VARIABLE
from tradingdesk.queues import DESK_QUEUE, broker_queue

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
DESK = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "tradingdesk"}


def instructions(word: str) -> list[list[str]]:
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith(f"{word} ")]


def test_image_copies_only_what_is_there_and_let_through():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = [word for words in instructions("COPY") if "--from=packages" not in words for word in words[:-1]]
    assert [name for name in sources if not (ROOT / name).exists()] == []
    assert set(sources) == allowed


def test_image_runs_as_an_ordinary_user():
    assert instructions("USER")[-1] == ["10001"]


@pytest.mark.parametrize("image", [*(words[0] for words in instructions("FROM")), "postgres", "redis"])
def test_images_name_a_version(image):
    image = COMPOSE["services"].get(image, {}).get("image", image)
    tag = image.partition(":")[2]
    assert tag[:1].isdigit(), image


def test_every_process_has_one_command_that_the_project_knows():
    programs = {name: service.get("command", ["gunicorn"])[0] for name, service in DESK.items()}
    assert programs == {
        "migrate": "sh",
        "web": "gunicorn",
        "worker": "celery",
        "broker-alpaca": "celery",
        "beat": "celery",
    }


@pytest.mark.parametrize("name", ["worker", "broker-alpaca", "beat"])
def test_celery_accepts_the_command(name):
    program, flag, app, subcommand, *options = DESK[name]["command"]
    assert (program, flag) == ("celery", "-A")
    import_module(app)
    celery_command.commands[subcommand].make_context(subcommand, list(options), resilient_parsing=True)


def test_migration_job_runs_commands_that_exist():
    words = shlex.split(DESK["migrate"]["command"][-1])
    names = [words[n + 1] for n, word in enumerate(words) if word == "manage.py"]
    assert names
    assert set(names) <= get_commands().keys()


@pytest.mark.slow
def test_gunicorn_accepts_the_command_and_loads_the_application(tmp_path):
    arguments = yaml.safe_load(DOCKERFILE.replace("\\\n", " ").rpartition("CMD ")[2])
    command = [str(Path(sys.executable).with_name("gunicorn")), "--check-config", *arguments[1:]]
    done = subprocess.run(command, cwd=ROOT, env=desk_env(tmp_path), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_secrets_come_from_files_and_every_one_is_declared():
    environment = DESK["web"]["environment"]
    files = {value.rpartition("/")[2] for value in environment.values() if value.startswith("/run/secrets/")}
    assert files == set(DESK["web"]["secrets"])
    assert files | {"postgres_password"} == set(COMPOSE["secrets"])
    assert not [name for name in environment if name.endswith(("KEY", "PASSWORD", "DATABASE_URL"))]


def test_key_for_credentials_in_the_database_is_a_secret_like_the_others_once_its_lines_are_no_comments():
    text = (ROOT / "docker" / "compose.yaml").read_text()
    lines = r"(?m)^( *)# ((?:- )?(?:DESK_CREDENTIAL_KEY_FILE|desk_credential_key)\b)"
    with_key = yaml.safe_load(re.sub(lines, r"\1\2", text))
    assert with_key["services"]["web"]["environment"][f"{VARIABLE}_FILE"] == "/run/secrets/desk_credential_key"
    assert set(with_key["services"]["worker"]["secrets"]) == {*DESK["worker"]["secrets"], "desk_credential_key"}
    assert set(with_key["secrets"]) == {*COMPOSE["secrets"], "desk_credential_key"}


def test_every_account_of_the_configuration_has_a_worker_that_uses_threads():
    accounts = yaml.safe_load((ROOT / "docker" / "desk.yaml").read_text())["brokers"]
    commands = [service.get("command", []) for service in DESK.values()]
    queues = {command[command.index("-Q") + 1]: command for command in commands if "-Q" in command}
    assert queues.keys() == {DESK_QUEUE, *map(broker_queue, accounts)}
    assert all("threads" in queues[broker_queue(name)] for name in accounts)


@pytest.mark.slow
def test_configuration_of_the_containers_is_accepted(tmp_path):
    env = desk_env(tmp_path / "data", ALPACA_API_KEY="key", ALPACA_SECRET_KEY="secret")
    manage("migrate", "--verbosity=0", env=env)
    manage("load_config", "docker/desk.yaml", "--dry-run", env=env)
