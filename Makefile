# Every target does all the set-up it needs, from a bare Python (3.11 or newer) and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Each may take two cores and 2 GB.
TEST_PROCESSES ?= 2
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check

# Nothing that we start phones home.
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help setup setup-beam setup-bench setup-levanter setup-tpu run mini
.PHONY: test test-e2e test-full test-tpu
.PHONY: lint format bench scaling lock clean

help:
	@echo "make run     train the quickstart on this machine, a few minutes"
	@echo "make mini    the paper in miniature and its report, an hour"
	@echo "make test    the default tests"
	@echo "make lint    ruff and mypy"
	@echo "make setup   leave $(BIN)/codemix ready, and nothing else"
	@echo "make setup-beam  what codemix prepare --engine beam needs"
	@echo "make setup-bench | setup-levanter | setup-tpu: what benchmarks and plans need"
	@echo "make test-e2e | test-full | test-tpu | format | bench | scaling | lock | clean: see CONTRIBUTING.md"

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("codemix needs Python 3.11 or newer: make PYTHON=...") if sys.version_info < (3, 11) else None'
	@echo "installing what requirements.lock names into $(VENV), a few minutes" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

setup-bench: $(VENV)/.ready-bench

$(VENV)/.ready-bench: requirements-bench.txt $(READY)
	$(PIP) install --requirement requirements-bench.txt
	@touch $@

setup-levanter: $(VENV)/.ready-levanter

# Levanter can't live beside what we need, so it has an environment of its own.
$(VENV)/.ready-levanter: requirements-bench-levanter.txt $(READY)
	@test -x $(VENV)/levanter/bin/python || $(PYTHON) -m venv $(VENV)/levanter
	$(VENV)/levanter/bin/python -m pip --quiet --disable-pip-version-check install \
	    --requirement requirements-bench-levanter.txt
	@touch $@

setup-beam: $(VENV)/.ready-beam

# Beam needs an older protobuf than SentencePiece does.
$(VENV)/.ready-beam: requirements-beam.txt $(READY)
	@test -x $(VENV)/beam/bin/python || $(PYTHON) -m venv $(VENV)/beam
	$(VENV)/beam/bin/python -m pip --quiet --disable-pip-version-check install \
	    --requirement requirements-beam.txt
	@touch $@

setup-tpu: $(VENV)/.ready-tpu

# The compiler for TPUs; it needs none.
$(VENV)/.ready-tpu: $(READY)
	$(PIP) install --no-build-isolation --editable '.[tpu]'
	@touch $@

# The stages of dvc.yaml before training, then training itself with its own output.
run: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro --quiet prepare
	$(BIN)/codemix run specs/quickstart.yaml

# Data that this machine has or makes, then every stage of the study once, then the page.
mini: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro --quiet corpus corpus-mini questions-mini
	$(BIN)/codemix study specs/mini --jobs 2
	$(BIN)/codemix report specs/mini -o mini.html

test: setup
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) $(PYTEST_ARGS)

# Whole runs, each in processes of its own, and real servers.
test-e2e: setup
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) -m "e2e and not slow" $(PYTEST_ARGS)

test-full: setup
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) -m "not gpu and not tpu and not network" $(PYTEST_ARGS)

test-tpu: setup-tpu
	$(BIN)/python -m pytest -m tpu -n0 $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup-bench setup-levanter
	$(BIN)/python bench/train_step.py --size cpu-small cpu-medium
	$(BIN)/python bench/prepare.py
	$(BIN)/python bench/input.py
	$(BIN)/python bench/loop.py --size debug cpu-small
	$(BIN)/python bench/recording.py

# Compiles every preset for every size of v5e, and writes docs/scaling.md: an hour.
scaling: setup-tpu
	$(BIN)/python bench/scaling.py --write

# Keeps the versions that still fit. To move one: make lock LOCK_ARGS="--upgrade-package jax".
lock: setup
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes \
	    --strip-extras --extra dev --allow-unsafe \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	    --no-emit-options --output-file requirements.lock pyproject.toml $(LOCK_ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
