# opinionwatch: `make run` shows it at work, `make test` proves it. Everything lives in .venv, made and kept up to date here.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
FOLDERS := pipeline models connectors alerts
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help:  # Show this list
	@awk -F':.*# ' '/^[a-z-]+:.*# /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "opinionwatch needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --require-hashes -r .ci/uv.lock
	$(BIN)/uv pip install -q --require-hashes -r requirements.lock
	$(BIN)/uv pip install -q --no-deps -e .
	touch $@

# Shows mypy the installed names; setuptools' import hook is invisible to it.
.types: .venv/.ready
	@mkdir -p .types/opinionwatch && for f in $(FOLDERS); do ln -sfn ../../$$f .types/opinionwatch/$$f; done

.PHONY: setup
setup: .venv/.ready .types  # Make or refresh .venv

.PHONY: run
run: .venv/.ready  # The demo: a bilingual crisis, found and explained on a local page
	$(BIN)/opinionwatch demo

.PHONY: lint
lint: setup  # Format, lint, types, import floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports

.PHONY: test
test: setup lint  # Everything CI runs
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: services
services: setup  # Start a real Kafka and a real Elasticsearch; says where they are
	$(BIN)/python -m tests.services.run start

.PHONY: services-stop
services-stop:  # Stop them and delete what they wrote
	$(BIN)/python -m tests.services.run stop

.PHONY: campaign
campaign: setup  # Kill it at random: runtime=daemons|embedded documents= kills= terms= brokers= elastics= rebalances= seed=
	$(BIN)/python -m tests.faults.$(if $(filter embedded,$(runtime)),campaign,daemon_campaign) \
	  $(foreach name,documents kills terms brokers elastics rebalances seed,$(if $($(name)),--$(name) $($(name))))

.PHONY: campaign-sources
campaign-sources: setup  # Kill the daemons that read every kind of source, and the broker: documents= kills= terms= brokers= seed=
	$(BIN)/python -m tests.faults.source_campaign \
	  $(foreach name,documents kills terms brokers seed,$(if $($(name)),--$(name) $($(name))))

.PHONY: bench
bench: setup  # Measure, and rewrite BENCHMARKS.md
	$(BIN)/python tests/bench/run.py

.PHONY: lock
lock: .venv/.ready  # Renew the lock file from pyproject.toml
	$(BIN)/uv pip compile -q pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	$(BIN)/uv pip compile -q pyproject.toml --constraint requirements.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o compose/image.lock
