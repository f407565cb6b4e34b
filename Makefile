# make demo   measures this machine and builds the board; nothing else is needed on a machine with Python, git, make
# make test   everything that CI checks
PYTHON ?= python3
BIN := .venv/bin
TEST_JOBS ?= 2
CHROMIUM := $(shell command -v chromium chromium-browser google-chrome 2>/dev/null | head -n 1)

.PHONY: demo test lint types pytest clean

demo: .venv/demo
	$(BIN)/attnbench demo

test: lint types pytest

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/towncrier build --draft --version next >/dev/null

types: .venv/test
	$(BIN)/mypy

# one thread a test process: more would only wait for each other, and upset the tests that time something
pytest: export OMP_NUM_THREADS = 1
pytest: .venv/test
ifeq ($(CHROMIUM),)
	@echo "browser tests are left out: no chromium on this machine"
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile -m "not cuda and not browser"
else
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile -m "not cuda"
endif

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "attnbench needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	touch $@

# torch stands first: the newest build is several GiB larger than the tested one
.venv/demo: .venv/made pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/test: .venv/demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .asv
