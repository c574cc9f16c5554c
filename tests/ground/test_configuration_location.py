"""`database.url` of the file, read before there is a Django."""

from pathlib import Path

import pytest

from tests.environment import desk_env, manage
from tradingdesk.config.location import database_url
from tradingdesk.config.references import MissingReference

ROOT, DATA = Path("/srv/desk"), Path("/var/lib/desk")


def url_of(tmp_path: Path, text: str) -> str:
    config = tmp_path / "desk.yaml"
    config.write_text(text)
    return database_url(config, root=ROOT, data=DATA)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://desk@db/desk", "postgresql://desk@db/desk"),
        ("sqlite:///data/trading.db", "sqlite:////var/lib/desk/trading.db"),
        ("sqlite:///other/trading.db", "sqlite:////srv/desk/other/trading.db"),
        ("sqlite:////tmp/trading.db", "sqlite:////tmp/trading.db"),
    ],
)
def test_relative_path_is_below_the_repository_or_the_data_folder(tmp_path, url, found):
    assert url_of(tmp_path, f'database:\n  url: "{url}"\n') == found


@pytest.mark.parametrize("text", ["", "risk: {}\n", "database:\n", "database: {}\n", "database:\n  url:\n"])
def test_file_that_names_no_database_gives_none(tmp_path, text):
    assert url_of(tmp_path, text) == ""


def test_absent_file_gives_none(tmp_path):
    assert database_url(tmp_path / "none.yaml", root=ROOT, data=DATA) == ""


def test_reference_is_filled(tmp_path, monkeypatch):
    text = 'database: {url: "postgresql://desk:${TEST_DB_PASSWORD}@db/desk"}\n'
    with pytest.raises(MissingReference, match="set TEST_DB_PASSWORD"):
        url_of(tmp_path, text)
    monkeypatch.setenv("TEST_DB_PASSWORD", "pw")
    assert url_of(tmp_path, text) == "postgresql://desk:pw@db/desk"


def test_mistake_elsewhere_in_the_file_does_not_hide_the_database(tmp_path):
    text = 'risk: [\ndatabase:\n  # where\n\n  url: "postgresql://db/desk"\nbrokers: }\n'
    assert url_of(tmp_path, text) == "postgresql://db/desk"


@pytest.mark.parametrize("text", ["database: [\n", "database: 5\n", "database:\n  url: [\n"])
def test_mistake_in_the_section_itself_is_an_error(tmp_path, text):
    with pytest.raises(ValueError, match="database"):
        url_of(tmp_path, text)


@pytest.mark.slow
@pytest.mark.parametrize("named", ["file", "environment"])
def test_desk_uses_the_database_of_the_file_unless_the_environment_names_one(tmp_path, named):
    in_file, in_environment = tmp_path / "file.db", tmp_path / "environment.db"
    config = tmp_path / "desk.yaml"
    config.write_text(f"database:\n  url: sqlite:///{in_file}\n")
    url = f"sqlite:///{in_environment}" if named == "environment" else ""
    env = desk_env(tmp_path / "data", url, DESK_CONFIG=str(config))
    said = manage("shell", "--no-imports", "-c", "from django.conf import settings as s; print(s.DATABASES)", env=env)
    assert str(tmp_path / f"{named}.db") in said


@pytest.mark.slow
def test_load_config_of_a_broken_file_that_the_desk_itself_reads_is_one_line(tmp_path):
    config = tmp_path / "desk.yaml"
    config.write_text("risk:\n  max_order_qty: [\n")
    env = desk_env(tmp_path / "data", DESK_CONFIG=str(config))
    with pytest.raises(AssertionError) as failure:
        manage("load_config", str(config), env=env)
    assert f"exit 2\n\nCommandError: {config}:3: not YAML" in str(failure.value)
    assert "Traceback" not in str(failure.value)
