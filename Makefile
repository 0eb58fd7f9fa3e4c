# The whole workbench. Every target makes the virtual environment that it needs.
ENV    ?= dev
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: preview rehearse test check bench lock clean
.DEFAULT_GOAL := preview

preview: $(VENV)/.ready    ## preview one environment and judge it: make preview ENV=prod
	@$(BIN)/blueprint preview $(ENV)

rehearse: $(VENV)/.ready-dev ## apply one environment to an emulated AWS with the real provider (needs terraform or tofu)
	@$(BIN)/blueprint rehearse $(ENV)

test: $(VENV)/.ready-dev   ## every test
	$(BIN)/pytest -n auto

check: $(VENV)/.ready-dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.ready-dev  ## stage times and growth, side by side in one run
	$(BIN)/python tests/bench/preview.py

lock: $(VENV)/.ready-dev   ## pin again what pyproject.toml admits
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:                     ## remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not on the PATH; install Python 3.11 or newer and name it: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing what the preview needs (about a minute, once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	@echo "Installing what the tests need"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@
