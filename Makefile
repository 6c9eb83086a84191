# SPDX-License-Identifier: Apache-2.0
# make run    start the cloud, run a first job through it, go on serving
# make test   the whole suite, acceptance tests with real clients included
# make check  what CI checks besides tests: format, lint, types, import contracts, dependencies, spelling
# make fix    format and mend what can be mended by itself
# make fuzz   ask a server whatever its description allows, EXAMPLES times for each endpoint
# make bench  measure, side by side with what a user would use instead

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= data
PORT ?= 8000
HOST ?= 127.0.0.1
EXAMPLES ?= 100

.PHONY: run test check fix fuzz bench clean

run: $(VENV)/.run
	@$(BIN)/chandelier demo --data "$(DATA)" --host "$(HOST)" --port "$(PORT)"

# Acceptance tests run by themselves: each starts servers and clients that want both cores. The others are two already,
# and their matrices are small: threads of the linear algebra would only wait for each other.
test: $(VENV)/.dev check
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --ignore tests/acceptance
	$(BIN)/python -m pytest tests/acceptance

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@for folder in tests tests/*/; do \
		files=$$(ls $$folder/*.py 2>/dev/null); test -z "$$files" || MYPYPATH=src:tests:$$folder $(BIN)/mypy $$files || exit 1; done
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry src
	$(BIN)/codespell src tests docs benchmarks README.md ARCHITECTURE.md CHANGELOG.md

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: $(VENV)/.dev
	$(BIN)/python -m pytest tests/acceptance/test_fuzzing.py --fuzz-examples $(EXAMPLES)

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/submit_to_result.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/pulses.py
	$(BIN)/python benchmarks/primitives.py
	$(BIN)/python benchmarks/todays_client.py
	$(BIN)/python benchmarks/workers.py
	$(BIN)/python benchmarks/status_polls.py
	$(BIN)/python benchmarks/status_streams.py
	$(BIN)/python benchmarks/listing.py
	$(BIN)/python benchmarks/fairness.py
	$(BIN)/python benchmarks/dispatch.py
	$(BIN)/python benchmarks/analytics.py

clean:
	rm -rf $(VENV) .cache

# One environment for both: `make run` installs what serving needs, `make test` adds the tools.
$(VENV)/.run: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "Chandelier needs Python 3.11 or newer; %s is %d.%d. Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" % (sys.executable, v[0], v[1]))'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing. On Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Installing Chandelier into $(VENV) (a few minutes, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
	@touch $@
