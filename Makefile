# Each target does its own set-up: Python 3.11 or newer and make are all that a machine needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt --editable

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench wheel docs clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "understudy needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# One stamp per set of extras: installing again happens only when pyproject.toml changes.
$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) '.[demo]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) '.[demo,deep,dev]'
	@touch $@

$(VENV)/.all: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) '.[all,dev,docs]'
	@touch $@

setup: $(VENV)/.all  ## Make .venv with every extra and the understudy command in it

demo: $(VENV)/.demo  ## Real health-insurance records to an audited synthetic table and a report
	$(BIN)/understudy demo

test: $(VENV)/.dev  ## Run the tests
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev  ## Check style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev  ## Rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## Measure: tables with their floors, speed as CPU-seconds (minutes)
	$(BIN)/python -m benchmarks

wheel: $(BIN)/python  ## Build what a user installs, into dist/
	$(PIP) install --quiet build
	$(BIN)/python -m build --outdir dist .

docs: $(VENV)/.all  ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

clean:  ## Remove everything that is built
	rm -rf $(VENV) dist build site runs .pytest_cache .mypy_cache .ruff_cache
