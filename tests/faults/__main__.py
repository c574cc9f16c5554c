"""Run the fault matrix: `python -m tests.faults --seed 7 --orders 300 --kills 12`.

It starts PostgreSQL and Redis of its own, unless --database-url and --redis-url name some. Exit code 0: nothing
lost, nothing twice; 1: something is wrong, and is printed with how to see it again.
"""

import argparse
import json
import os
import random
import secrets
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import django

from tests import environment, services
from tests.brokers.sandbox_process import start_sandbox
from tests.faults import accounts
from tests.faults.plan import Plan

FAULTS_AN_ORDER = 0.4
LOG_LINES = 40
SHOWN = 40


def main() -> int:
    """Run, print, and say by the exit code how it went."""
    options = _options()
    plan = Plan(options.seed, options.orders, options.kills, options.faults)
    print(f"seed {plan.seed}: {plan.orders} orders, {plan.kills} kills, {plan.faults} faults", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="desk-faults-"))
    began = time.monotonic()
    problems = _run(plan, folder, options)
    print(f"{time.monotonic() - began:.0f} s in all")
    if problems:
        _tell(problems, plan, folder)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    print("nothing lost, nothing twice")
    return 0


def _run(plan: Plan, folder: Path, options: argparse.Namespace) -> list[str]:
    with ExitStack() as stack:
        database_url, redis_url = _servers(stack, options)
        sandbox = stack.enter_context(start_sandbox(folder, speed=0, accounts=accounts.profiles()))
        env = _environment(plan, folder, sandbox, database_url, redis_url)
        os.environ.clear()
        os.environ.update(env)
        django.setup()
        matrix = import_module("tests.faults.starting").start(plan, folder, env, sandbox, stack)
        try:
            problems = matrix.run()
        except AssertionError as error:
            problems = [str(error)]
        print(json.dumps(matrix.counts(), indent=2, default=str), flush=True)
    return problems


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=None, help="what is random comes from it (default: a new one)")
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--kills", type=int, default=18)
    parser.add_argument("--faults", type=int, default=None, help="default: four for every ten orders")
    parser.add_argument("--database-url", default="", help="an empty or migrated PostgreSQL database of its own")
    parser.add_argument("--redis-url", default="", help="an empty Redis database of its own")
    options = parser.parse_args()
    options.seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    options.faults = round(options.orders * FAULTS_AN_ORDER) if options.faults is None else options.faults
    return options


def _servers(stack: ExitStack, options: argparse.Namespace) -> tuple[str, str]:
    database_url = options.database_url or stack.enter_context(
        services.fresh_database(stack.enter_context(services.postgres_server()))
    )
    redis_url = options.redis_url or services.fresh_redis(stack.enter_context(services.redis_server()))
    return database_url, redis_url


def _environment(plan: Plan, folder: Path, sandbox, database_url: str, redis_url: str) -> dict[str, str]:
    config = folder / "desk.yaml"
    keys = accounts.configure(config, sandbox, plan.portfolio_risk_limit)
    settings = {"DJANGO_SETTINGS_MODULE": "tests.faults.settings", "DESK_CONFIG": str(config)}
    return environment.desk_env(folder / "data", database_url, redis_url, **settings, **keys) | {
        "DESK_SECRET_KEY": secrets.token_urlsafe(48)
    }


def _tell(problems: list[str], plan: Plan, folder: Path) -> None:
    print(f"\n{len(problems)} things are wrong:")
    print("\n".join(f"  {problem}" for problem in problems[:SHOWN]))
    log = (folder / "desk.log").read_text(errors="replace").splitlines() if (folder / "desk.log").exists() else []
    print(f"\nThe end of the desk's log ({folder / 'desk.log'}; the broker's is sandbox.log beside it):")
    print("\n".join(log[-LOG_LINES:]))
    print(f"\nAgain: make test-faults SEED={plan.seed} ORDERS={plan.orders} KILLS={plan.kills} FAULTS={plan.faults}")


if __name__ == "__main__":
    sys.exit(main())
