# Everything a fresh machine needs is python3, pip and make. Works from any folder with make -C.
SHELL := /bin/sh
ROOT := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
PYTHON ?= python3
VENV ?= $(ROOT).venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PRETRAINED := $(VENV)/.pretrained
# Results of the Makefile's own runs; users' runs go to ./results of where they stand.
RESULTS ?= $(ROOT)results
PYTEST_ARGS ?=
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true

.DEFAULT_GOAL := help
.PHONY: help reproduce test check lint types fast install pretrained lock benchmarks clean

help: ## show this list
	@echo "usage: make TARGET"; \
	grep -E '^[a-z]+:.*## ' $(ROOT)Makefile | sed -E 's/:.*## /\t/' | expand -t 14 | sed 's/^/  /'

install: $(READY) ## make the environment (.venv) from the lock file

$(READY): $(ROOT)requirements.lock $(ROOT)pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	  "sitrepbench needs Python 3.11, 3.12 or 3.13; this is %d.%d. Try: make PYTHON=python3.12 ..." % v)'
	@echo "Making the environment in $(VENV) (about 120 packages; two minutes, a gigabyte) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement $(ROOT)requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --no-build-isolation --editable $(ROOT)
	@touch $(READY)
	@echo "Environment ready."

pretrained: $(PRETRAINED) ## add torch and what pretrained models need to the environment

$(PRETRAINED): $(READY) $(ROOT)requirements-pretrained.lock
	@echo "Adding torch, transformers and sentence-transformers (a CUDA build of torch is several GB) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --requirement $(ROOT)requirements-pretrained.lock
	@touch $(PRETRAINED)

reproduce: $(READY) ## refit the published baselines, and compare: PASS or FAIL per number
	@cd $(ROOT) && $(BIN)/sitrepbench reproduce baselines --results-dir $(RESULTS)

test: $(READY) ## run all tests (what is absent is skipped, with the reason)
	@cd $(ROOT) && $(BIN)/python -m pytest -n 3 --dist worksteal $(PYTEST_ARGS)

check: lint types fast ## ruff, mypy and the fast tests: before every commit

lint: $(READY)
	@cd $(ROOT) && $(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY)
	@cd $(ROOT) && $(BIN)/mypy

fast: $(READY)
	@cd $(ROOT) && $(BIN)/python -m pytest -q -n 2 -m "not slow and not fault" $(PYTEST_ARGS)

benchmarks: $(READY) ## measure speed as ratios to what a user would run instead
	@cd $(ROOT) && for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock: ## resolve requirements.lock anew (needs uv)
	@cd $(ROOT) && uv pip compile pyproject.toml --group build --group dev --universal \
	  --fork-strategy fewest --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header --quiet --output-file requirements.lock

clean: ## remove the environment and caches; results are kept
	@rm -rf $(VENV) $(ROOT).pytest_cache $(ROOT).mypy_cache $(ROOT).ruff_cache
