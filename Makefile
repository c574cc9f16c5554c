# `make run` starts the desk, `make test` proves it; both begin from nothing but Python 3.11 or newer.
# PYTHON=/path/to/python picks the interpreter of a new environment (VENV=.venv-312 keeps a second one beside the first),
# CHROMIUM=/path/to/browser the browser of the tests.

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell $(name) -c "$(IS_NEW_ENOUGH)" 2>/dev/null && echo $(name))) python3)
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
VENV := .venv
BIN := $(VENV)/bin
# Processes start quicker from compiled modules, also where the environment says to write none.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test test-fast test-faults check bench browser lock clean .venv
.DEFAULT_GOAL := help

help:
	@echo "make run        start the desk (PORT=8000, DEMO=1 for a demo trader); Ctrl-C stops it"
	@echo "make test       the whole suite: SQLite, PostgreSQL + Redis, browser"
	@echo "make test-fast  the tier that needs no server and no browser"
	@echo "make test-faults  kill the desk's processes beside failing brokers, and compare the books (SEED=, ORDERS=, KILLS=)"
	@echo "make check      ruff, import contracts, Django's checks, missing migrations"
	@echo "make bench      the benchmarks; writes bench-results.json"
	@echo "make .venv      only the environment"
	@echo "make browser    Chromium for the browser tests, if none is there"
	@echo "make lock       pin requirements/*.in again (UPGRADE=1 takes newer versions)"
	@echo "make clean      remove the environment and caches; data/ stays"

run: .venv
	@exec $(BIN)/python manage.py desk $(if $(DEMO),--demo)

# Every test that touches the database runs once on each engine, in a process for each; a third has the whole desks.
test: $(VENV)/.dev browser
	$(BIN)/python -m pytest --dist each --tx popen//env:DESK_TEST_PART=sqlite \
		--tx popen//env:DESK_TEST_PART=postgresql//env:DESK_TEST_ENGINE=postgresql --tx popen//env:DESK_TEST_PART=desks $(ARGS)

test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not server and not browser and not slow and not live" $(ARGS)

# The same seed makes the same orders, faults and kills; each left out is a default, or for SEED a new one.
test-faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(ORDERS),--orders $(ORDERS)) $(if $(KILLS),--kills $(KILLS)) $(if $(FAULTS),--faults $(FAULTS))

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python manage.py check
	$(BIN)/python manage.py makemigrations --check --dry-run

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks $(ARGS)

.venv: $(VENV)/.base

# The stamps say which lock the environment was filled from; the development lock contains the other.
$(VENV)/.base: requirements/base.txt
	$(call environment,base)
	@touch $@

$(VENV)/.dev: requirements/dev.txt
	$(call environment,dev)
	@touch $(VENV)/.base $@

# uv is quicker, but ignores pip's configuration (mirrors, certificates) and may be a shim that does not run.
define environment
	@$(BIN)/python -c "$(IS_NEW_ENOUGH)" 2>/dev/null && $(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  $(PYTHON) -c "$(IS_NEW_ENOUGH)" 2>/dev/null || { \
	    echo "The desk needs Python 3.11 or newer, and '$(PYTHON)' is not. Name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }; \
	  $(PYTHON) -m venv --clear $(VENV) || { \
	    echo "No virtual environment could be made. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; }
	@if uv --version >/dev/null 2>&1 && uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/$(1).txt; then :; \
	  else $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(1).txt; fi
endef

browser:
	@if [ -n "$$CHROMIUM" ] || command -v chromium chromium-browser google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(call install_chromium,); \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then $(call install_chromium,sudo -n); \
	else echo "No Chromium here, and no right to install it: the browser tests will be skipped. Give one with CHROMIUM=/path" >&2; fi

install_chromium = $(1) apt-get update -qq && $(1) env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null \
	|| echo "Chromium could not be installed: the browser tests will be skipped. Give one with CHROMIUM=/path" >&2

lock: $(VENV)/.dev
	@for name in base production dev ib_insync; do \
	  $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-annotate --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) requirements/$$name.in -o requirements/$$name.txt || exit 1; done

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis staticfiles test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
