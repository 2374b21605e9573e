# make demo   the whole way in about a minute, on a text every machine has
# make test   the test suite
# make bench  the speed of recurrences beside other libraries
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROW ?=

.PHONY: install demo test lint bench bench-full reproduce clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml requirements/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Recurra needs Python 3.11 or newer; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements/constraints.txt --editable '.[dev]'
	@touch $@

demo: install
	$(BIN)/recurra demo

test: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

RESULTS := benchmarks/results

# six shapes in float32 and bfloat16 beside every peer that is installed, in about ten minutes
bench: install
	$(BIN)/recurra bench --precision both --json $(RESULTS)/recurrence.json --chart $(RESULTS)/recurrence.png

# one thread, layers and directions at the six shapes, then the grid, in at most two hours together; what a stopped call
# left is gone on with
bench-full: install
	$(BIN)/recurra bench --precision both --threads 2,1 --layers 1,2,3 --bidirectional --no-rest --race \
		--peers torch.nn,onnxruntime,jax --time-limit 1700 \
		--json $(RESULTS)/recurrence_ways.json --chart $(RESULTS)/recurrence_ways.png --resume
	$(BIN)/recurra bench --shapes grid --precision both --threads 2 --race --peers torch.nn,onnxruntime,jax \
		--time-limit 5200 --json $(RESULTS)/recurrence_grid.json --chart $(RESULTS)/recurrence_grid.png --resume

# repeats a committed result from its recorded command: make reproduce ROW=language_model/ptb-small
reproduce: install
	$(BIN)/python benchmarks/reproduce.py $(ROW)

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
