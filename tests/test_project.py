"""What holds for the project as a whole: layers, lint, migrations, locks, what lies where."""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.environment import ROOT, desk_env, manage

TOP_LEVEL = {
    *("tradingdesk", "brokers", "risk", "orders", "analytics", "config", "requirements", "docker", "tests", "docs"),
    *("manage.py", "Makefile", "pyproject.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "NOTICE"),
    *(".ci", ".dockerignore", ".editorconfig", ".gitignore"),
}
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
TOO_BIG = 1_000_000


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """The files under version control; the test is skipped outside a clone."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git clone")
    return [Path(name) for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]


def run(*command: str) -> None:
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_imports_follow_the_arrow():
    run("lint-imports", "--no-cache")


def test_code_is_clean():
    run("ruff", "check", "--no-cache", ".")


def test_django_finds_nothing_to_complain_about(tmp_path):
    manage("check", "--fail-level", "WARNING", env=desk_env(tmp_path))


def test_every_model_change_has_its_migration(tmp_path):
    manage("makemigrations", "--check", "--dry-run", env=desk_env(tmp_path))


def test_top_level_is_the_agreed_set(tracked):
    assert {path.parts[0] for path in tracked} <= TOP_LEVEL


def test_no_file_names_this_machine(tracked):
    ours = {ROOT, ROOT.parent, Path.home()} - {Path(tempfile.gettempdir())}
    places = [re.escape(str(path)) for path in ours if len(path.parts) > 1]
    here = re.compile(rf"(?<![\w.])({'|'.join(places)})/")
    found = [str(path) for path in tracked if here.search(text_of(path))]
    assert found == []


def test_no_file_is_large(tracked):
    assert [str(path) for path in tracked if (ROOT / path).stat().st_size > TOO_BIG] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_hold_exact_pins_with_hashes_and_name_no_place(lock):
    """A lock that named an index or a folder would install only where it was made."""
    entries = entries_of(lock)
    assert [entry for entry in entries if not re.match(r"[a-z0-9.-]+(\[[a-z,]+\])?==\S+ ", entry)] == []
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"^-|://|^\.|^/", lock.read_text(), re.MULTILINE)


def test_locks_agree_with_each_other():
    base, production, dev = ({line.split(" \\")[0] for line in entries_of(path)} for path in named_locks())
    assert pins(base) <= pins(production) <= pins(dev)


def test_locks_hold_everything_that_was_asked_for():
    for lock in LOCKS:
        names = {canonicalize_name(re.split(r"[=\[]", entry)[0]) for entry in entries_of(lock)}
        wanted = [line.partition("#")[0].strip() for line in lock.with_suffix(".in").read_text().splitlines()]
        direct = {canonicalize_name(Requirement(line).name) for line in wanted if line and not line.startswith("-")}
        assert direct <= names, lock.name


def test_users_install_nothing_under_the_gpl():
    """Weak copyleft (LGPL, MPL) is a library's own affair; GPL and AGPL would be the desk's."""
    from importlib.metadata import distribution

    for entry in entries_of(ROOT / "requirements" / "production.txt"):
        name = re.split(r"[=\[]", entry)[0]
        if "python_full_version" in entry:
            continue
        metadata = distribution(name).metadata
        stated = [metadata.get("License-Expression") or "", *(metadata.get("License") or "").splitlines()[:1]]
        licence = " ".join([*stated, *metadata.get_all("Classifier", [])])
        assert not re.search(r"\bA?GPL|(?<!Lesser )General Public License", licence), name


def test_ci_entry_is_a_script_that_bash_accepts():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run([shutil.which("bash"), "-n", script], check=True)


def test_supported_python_is_stated_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["ruff"]["target-version"] == "py311"
    assert "(3, 11)" in (ROOT / "Makefile").read_text()


def named_locks() -> list[Path]:
    return [ROOT / "requirements" / f"{name}.txt" for name in ("base", "production", "dev")]


def entries_of(lock: Path) -> list[str]:
    """The lock's packages, each with its marker and hashes on one line."""
    text = lock.read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def pins(entries: set[str]) -> set[str]:
    return {entry.split(" ")[0] for entry in entries}


def text_of(path: Path) -> str:
    return (ROOT / path).read_bytes().decode("utf-8", errors="ignore")
