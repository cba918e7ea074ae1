# Needs Python 3.11 or newer and make; everything else is installed into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
BIN := .venv/bin
# The suite waits more than it computes: three workers fill two cores.
WORKERS ?= 3

.PHONY: run test check bench soak clean
.DELETE_ON_ERROR:

run: .venv/installed
	$(BIN)/python -m bot

test: .venv/installed-dev
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.manifest_check

bench: .venv/installed-dev
	$(BIN)/python -m tests.bench

soak: .venv/installed-dev
	$(BIN)/python -m pytest -m "soak or not soak" --soak

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("clienthello needs Python 3.11 or newer; this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

# setuptools comes from the lock too, so building the project itself fetches nothing.
.venv/installed: requirements.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@touch $@

clean:
	rm -rf .venv build *.egg-info
