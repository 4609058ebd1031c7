# Every task of people and of CI; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help install demo screenshots test check docs infra rehearse bench chaos soak fuzz scale audit sbom up lock clean azurite

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | column -t -s '|'

install: $(READY)  ## create the virtual environment, with the command line .venv/bin/slipway

test: $(READY) azurite  ## run every test, from unit to end-to-end
	$(BIN)/pytest -n 2 --ignore=tests/e2e $(ARGS)
	$(BIN)/pytest tests/e2e $(ARGS)  # not in parallel: these tests share one stack, in order

soak: $(READY)  ## simulate 20,000 seeded histories on all cores; SEEDS=1000 for fewer, WORLD=stages for those about stages
	$(BIN)/python -m tests.simulation.soak --seeds $(or $(SEEDS),20000) --world $(or $(WORLD),agent)

chaos: $(READY)  ## break parts of the running stack at random for 10 minutes; MINUTES=1 SEED=7
	@$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: $(READY)  ## send a million random inputs to every entry point; INPUTS=50000 for fewer, ARGS="--only events --seed 7"
	$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),1000000) $(ARGS)

scale: $(READY)  ## measure lead time, calls and cost of 10 to 200 agents, and the timers of 3,000, in virtual time; ARGS="--only timers"
	@$(BIN)/python -m tests.scale $(ARGS)

audit: $(READY)  ## check the deployed packages for known vulnerabilities; ARGS="--required" fails if no service answers
	@$(BIN)/python -m tests.security.audit $(ARGS)

sbom: $(READY)  ## write the SBOM of the deployed packages to build/sbom.cdx.json
	$(BIN)/python -m tests.security.sbom build/sbom.cdx.json

check: $(READY)  ## check format, lint and types, run the unit tests, require full coverage of core
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/unit tests/test_architecture.py tests/test_function_app.py --cov=core --cov-fail-under=100

docs: $(READY)  ## write the pages of reasons and queries, the workbook, and the schemas of agents.yaml and of --json
	$(BIN)/python docs/reference/reasons/generate.py
	$(BIN)/python docs/reference/cli-json/generate.py
	$(BIN)/python infra/monitoring/generate.py
	$(BIN)/python -m cli validate --schema > docs/agents.schema.json

infra: $(READY)  ## test infra/ and its hooks; compile and evaluate if BICEP or ../shared/tools/bicep is a compiler
	$(BIN)/pytest tests/infra $(ARGS)

rehearse: $(READY)  ## bring deployments up and down as azd does, without Azure; needs a Bicep compiler as infra does
	@$(BIN)/python -m local rehearse

demo: $(READY)  ## show within a minute how pushes go live, on local stand-ins
	@$(BIN)/python -m local demo $(ARGS)

screenshots: $(READY)  ## take the README's pictures of the telemetry page, from a run of the demo
	$(BIN)/python -m local.screenshots docs/images

bench: $(READY)  ## measure what Slipway costs, as JSON and a table; ARGS="--quick --only import"
	@$(BIN)/python -m bench $(ARGS)

up: $(READY)  ## run Slipway and stand-ins for Azure until Ctrl-C
	$(BIN)/python -m local up $(ARGS)

lock: $(READY)  ## write the lock files from the .in files
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv pip compile -q --no-strip-extras --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --no-strip-extras --universal --python-version 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt
	$(BIN)/python local/plain_pins.py requirements.txt requirements-dev.txt
	cd infra/hooks && ../../$(BIN)/uv pip compile -q --no-strip-extras --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	cd local/agents && ../../$(BIN)/uv pip compile -q --no-strip-extras --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	cd tests/infra && ../../$(BIN)/uv pip compile -q --no-strip-extras --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt

clean:  ## delete everything that the other targets create
	rm -rf $(VENV) .venv-agents* build node_modules .local .mypy_cache .ruff_cache .pytest_cache

$(READY): requirements-dev.txt local/bootstrap_venv.py
	@$(PYTHON) local/bootstrap_venv.py $(VENV) requirements-dev.txt
	@touch $@

# From npm: Azurite for the storage tests, Microsoft's Kusto parser for the queries, Deque's axe for the telemetry page.
# Without Node, these tests are skipped.
azurite:
	@if command -v npm >/dev/null && [ ! -x node_modules/.bin/azurite -o ! -d node_modules/@kusto -o ! -d node_modules/axe-core ]; then npm ci --no-audit --no-fund --silent; fi
