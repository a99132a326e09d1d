# Everything here works on a fresh clone with nothing but make and Python 3.11 or newer.
# PYTHON=python3.12 make test picks an interpreter; VENV=elsewhere puts the environment elsewhere.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.set-up

POLICIES := routing-config.yaml $(sort $(wildcard examples/*/routing-config.yaml))

.DEFAULT_GOAL := help
.PHONY: help setup demo test check check-slow plugin clients static format-check lint types contracts docs-check policies bench bench-gateway eval docs fmt lock clean FORCE

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) ## see it work: three routes, a leak caught, an outage (no key, no server, no network)
	@$(BIN)/python tools/demo.py

test: $(STAMP) ## run the tests (minutes; what is marked slow runs by check-slow)
	$(BIN)/python -m pytest -n 2 -m "not slow"

check: static test ## everything: format, lint, types, imports, docs, policies, then the tests

check-slow: $(STAMP) ## run the long tests
	$(BIN)/python -m pytest -n 2 -m slow

plugin: $(STAMP) ## the example plugin on its real engine (fetches llama.cpp, ready built)
	@$(BIN)/python -m pip install -q -e 'examples/provider-llamacpp[test]' \
	  || { echo "the example plugin is not tested: its engine cannot be fetched here" >&2; exit 0; }; \
	$(BIN)/python -m pytest examples/provider-llamacpp

clients: $(STAMP) ## fetch the real clients that the gateway is tested with (at most two minutes; what cannot be had is skipped)
	@$(BIN)/python tools/install_clients.py

static: format-check lint types contracts docs-check policies ## the checks of `make check` that run no tests

format-check: $(STAMP)
	$(BIN)/ruff format --check .

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

docs-check: $(STAMP)
	$(BIN)/python tools/generate_docs.py --check

policies: $(STAMP)
	@set -e; for policy in $(POLICIES); do \
	  echo "hroute check, hroute test: $$policy"; \
	  $(BIN)/hroute check --deny-warnings "$$policy"; \
	  $(BIN)/hroute test -p "$$policy"; \
	done

bench: $(STAMP) ## measure: matching, deciding, compiling, re-deciding a log (min, median, max)
	@set -e; for module in $(basename $(notdir $(shell grep -l __main__ bench/*.py))); do \
	  echo "== $$module"; $(BIN)/python -m bench.$$module; \
	done

bench-gateway: $(STAMP) ## measure the gateway, beside others where they are installed (BENCH_PEERS names their directories)
	$(BIN)/python -m bench.gateway

eval: $(STAMP) ## measure the signals on labelled data beside the checkout (says so where there is none)
	$(BIN)/python tools/eval.py

docs: $(STAMP) ## write the generated pages anew
	$(BIN)/python tools/generate_docs.py

fmt: $(STAMP) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## resolve uv.lock anew, from the public index and no other (needs uv)
	uv lock --no-config --default-index https://pypi.org/simple

setup: $(STAMP) ## make the environment in .venv

clean: ## remove the environment and every cache
	rm -rf $(VENV) .clients build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find hroute tests tools examples -name __pycache__ -type d -prune -exec rm -rf {} +

# An interpreter that was asked for by name is checked against the one in .venv every time; that takes no time.
ifneq ($(origin PYTHON),file)
$(STAMP): FORCE
endif

$(STAMP): pyproject.toml tools/setup_venv.py
	@$(PYTHON) tools/setup_venv.py --venv $(VENV) --stamp $(STAMP)

FORCE:
