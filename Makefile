# Everything runs in .venv, which `make setup` builds from this project's own files.
PYTHON ?= python3
BIN := .venv/bin
BASE := .venv/.installed
STAMP := .venv/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export TOKENIZERS_PARALLELISM := false

.PHONY: setup demo test check fmt bench clean

setup: $(STAMP)

$(BASE): pyproject.toml constraints.txt
	@echo "installing into .venv: some minutes, about 1 GB, once"
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) -e '.[formats,generation]'
	touch $(BASE)

$(STAMP): $(BASE)
	$(PIP) -e '.[dev]'
	touch $(STAMP)

demo: $(BASE)
	$(BIN)/tunesmith demo
	@echo
	@echo "So that these commands are found: source .venv/bin/activate"

# Two processes of one thread each: faster than one after the other with two.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: setup
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: setup
	$(BIN)/ruff check --fix src tests bench
	$(BIN)/ruff format src tests bench

bench: setup
	$(BIN)/python bench/speed.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
