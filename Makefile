# Everything is set up on first use: a virtual environment in .venv with the exact versions of constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8000
export PIP_DISABLE_PIP_VERSION_CHECK := 1

TURTLE := $(wildcard ontology/*.ttl shapes/*.ttl kg/data/*.ttl kg/data/*/*.ttl)

.DEFAULT_GOAL := help
.PHONY: help serve build test coverage check fmt bench docs screenshots constraints clean

help: ## Say what each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

serve: $(VENV)/.installed ## Install, build the graph, serve it on http://127.0.0.1:8000
	$(BIN)/hpkg build
	$(BIN)/hpkg serve --port $(PORT)

build: $(VENV)/.installed ## Assemble and validate the graph
	$(BIN)/hpkg build

test: $(VENV)/.installed-test ## Run all tests
	$(BIN)/python -m pytest

coverage: $(VENV)/.installed-test ## Run all tests and report the coverage, server processes included
	$(BIN)/python -m pytest --cov --cov-report=term

check: $(VENV)/.installed-test ## Lint, type-check, canonical Turtle
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/hpkg fmt --check $(TURTLE)

fmt: $(VENV)/.installed-test ## Format Python and Turtle
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format
	$(BIN)/hpkg fmt $(TURTLE)

bench: $(VENV)/.installed-bench ## Print the measured figures
	$(BIN)/python -m bench

docs: $(VENV)/.installed ## Write docs/cli.md from the commands
	$(BIN)/python -m docs.cli_reference

screenshots: $(VENV)/.installed-test ## Take the pictures of the README (needs Chromium)
	$(BIN)/python docs/screenshots.py

constraints: $(VENV)/.installed-bench ## Record the installed versions in constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable --exclude pip --exclude setuptools > constraints.txt

clean: ## Remove the environment and everything that was generated
	rm -rf $(VENV) service/static/editor dist build .coverage htmlcov .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)

EDITOR := hatch_build.py service/editor/package-lock.json

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt $(EDITOR)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,bench]'
	@touch $@
