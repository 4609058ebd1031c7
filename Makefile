# Everything a person or CI runs; `make` alone lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help test check up lock clean azurite

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | column -t -s '|'

test: $(READY) azurite  ## every test, unit to end-to-end
	$(BIN)/pytest -n 2 --ignore=tests/e2e $(ARGS)
	$(BIN)/pytest tests/e2e $(ARGS)  # alone: its tests share one running stack, in order

check: $(READY)  ## format, lint, types, unit tests and the coverage of core
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/unit tests/test_architecture.py tests/test_function_app.py --cov=core --cov-fail-under=100

up: $(READY)  ## Azure on a laptop, until Ctrl-C
	$(BIN)/python -m local up $(ARGS)

lock: $(READY)  ## make the lock files anew from the .in files
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt

clean:  ## what can be made again
	rm -rf $(VENV) node_modules .local .mypy_cache .ruff_cache .pytest_cache

$(READY): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Slipway needs Python 3.11 or newer: make PYTHON=python3.13 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing; on Debian: apt-get install -y python3-venv"; exit 1; }
	@echo "installing into $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements-dev.txt
	@touch $@

# Azurite is the second opinion of the storage tests; without Node they say that they were skipped.
azurite:
	@if command -v npm >/dev/null && [ ! -x node_modules/.bin/azurite ]; then npm ci --no-audit --no-fund --silent; fi
