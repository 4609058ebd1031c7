# Everything a person or CI runs; `make` alone lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help install demo screenshots test check docs infra bench chaos soak fuzz scale audit up lock clean azurite

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | column -t -s '|'

install: $(READY)  ## the checkout's own environment, with the command line: .venv/bin/slipway

test: $(READY) azurite  ## every test, unit to end-to-end
	$(BIN)/pytest -n 2 --ignore=tests/e2e $(ARGS)
	$(BIN)/pytest tests/e2e $(ARGS)  # alone: its tests share one running stack, in order

soak: $(READY)  ## 20,000 seeded histories on every core; SEEDS=1000 for fewer
	$(BIN)/python -m tests.simulation.soak --seeds $(or $(SEEDS),20000)

chaos: $(READY)  ## everything that can go wrong around the whole stack, for 10 minutes; MINUTES=1 SEED=7
	@$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: $(READY)  ## a million inputs through every door; INPUTS=50000 for fewer, ARGS="--only events --seed 7"
	$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),1000000) $(ARGS)

scale: $(READY)  ## lead time, calls and cost from 10 agents to 200, in virtual time; ARGS="--write"
	@$(BIN)/python -m tests.scale $(ARGS)

audit: $(READY)  ## what ships, held against the advisories of PyPI; ARGS="--required" where it must be answered
	@$(BIN)/python -m tests.security.audit $(ARGS)

check: $(READY)  ## format, lint, types, unit tests and the coverage of core
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/unit tests/test_architecture.py tests/test_function_app.py --cov=core --cov-fail-under=100

docs: $(READY)  ## write the reason pages from core/reasons.yaml
	$(BIN)/python docs/reference/reasons/generate.py

infra: $(READY)  ## infra/: promises, types, scan, hooks; compiled where BICEP is
	$(BIN)/pytest tests/infra $(ARGS)

demo: $(READY)  ## see it work: from a push to live in half a minute
	@$(BIN)/python -m local demo $(ARGS)

screenshots: $(READY)  ## the README's pictures of the telemetry page, from a run of the demo
	$(BIN)/python -m local.screenshots docs/images

bench: $(READY)  ## what it costs: one JSON document and a table; ARGS="--quick --only import"
	@$(BIN)/python -m bench $(ARGS)

up: $(READY)  ## Azure on a laptop, until Ctrl-C
	$(BIN)/python -m local up $(ARGS)

lock: $(READY)  ## make the lock files anew from the .in files, and the SBOM
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv pip compile -q --no-strip-extras --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --no-strip-extras --universal --python-version 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt
	cd infra/hooks && ../../$(BIN)/uv pip compile -q --no-strip-extras --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	cd tests/infra && ../../$(BIN)/uv pip compile -q --no-strip-extras --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	$(BIN)/python -m tests.security.sbom --write

clean:  ## what can be made again
	rm -rf $(VENV) node_modules .local .mypy_cache .ruff_cache .pytest_cache

$(READY): requirements-dev.txt local/bootstrap_venv.py
	@$(PYTHON) local/bootstrap_venv.py $(VENV) requirements-dev.txt
	@touch $@

# Azurite is the second opinion of the storage tests, Microsoft's Kusto parser that of the queries, Deque's axe that of the
# page; without Node their tests say that they were skipped.
azurite:
	@if command -v npm >/dev/null && [ ! -x node_modules/.bin/azurite -o ! -d node_modules/@kusto -o ! -d node_modules/axe-core ]; then npm ci --no-audit --no-fund --silent; fi
