# make demo   the whole way in about a minute, on a text every machine has
# make test   the test suite
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROW ?=

.PHONY: install demo test lint bench reproduce clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml requirements/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Recurra needs Python 3.11 or newer; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements/constraints.txt --editable '.[dev]'
	@touch $@

demo: install
	$(BIN)/recurra demo

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python benchmarks/language_model.py ngrams

# repeats a committed result from its recorded command: make reproduce ROW=language_model/ptb-small
reproduce: install
	$(BIN)/python benchmarks/reproduce.py $(ROW)

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
