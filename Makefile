# The whole workbench. Every target makes the virtual environment that it needs.
ENV    ?= dev
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin

# A service is a project of its own: dependencies, locks, environment, tests.
SERVICES := $(sort $(patsubst services/%/pyproject.toml,%,$(wildcard services/*/pyproject.toml)))
# Those that run as pods; the others are functions.
IMAGES := $(sort $(patsubst services/%/Dockerfile,%,$(wildcard services/*/Dockerfile)))

# Those that a model passes on its way.
CHAIN := data_api trainer redteam gateway

ENVIRONMENTS := $(sort $(patsubst stacks/Pulumi.%.yaml,%,$(wildcard stacks/Pulumi.*.yaml)))
OUT ?= build/exports

.PHONY: preview exports images rehearse mutate test test-platform check check-platform bench lock clean data-api gateway train federate bench-data-api \
	$(foreach do,test check bench lock,$(SERVICES:%=$(do)-%)) $(IMAGES:%=image-%)
.DEFAULT_GOAL := preview

preview: $(VENV)/.ready    ## preview one environment and judge it: make preview ENV=prod
	@$(BIN)/blueprint preview $(ENV)

# A verdict that refuses (status 1) is in the files, and blueprint diff says it again.
exports: $(VENV)/.ready    ## the graph and the verdict (SARIF) of every environment, for blueprint diff: make exports OUT=build/head
	@mkdir -p $(OUT)
	@for each in $(ENVIRONMENTS); do \
		$(BIN)/blueprint preview $$each --export $(OUT)/$$each.json --format sarif > $(OUT)/$$each.sarif || [ $$? -eq 1 ] || exit 2; \
	done

rehearse: $(VENV)/.ready-dev ## apply one environment to an emulated AWS with the real provider (needs terraform or tofu)
	@$(BIN)/blueprint rehearse $(ENV)

# The platform's tests wait for the provider much of their time; a service's run meanwhile.
test: $(VENV)/.ready-dev   ## every test, of the platform and of each service
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=line test-platform $(SERVICES:%=test-%)

test-platform: $(VENV)/.ready-dev ## the tests of the platform: components, stacks, policies, workbench
	$(BIN)/pytest -n auto --dist worksteal

$(SERVICES:%=test-%): test-%: services/%/.venv/.ready ## the tests of one service: make test-data_api
	services/$*/.venv/bin/pytest -c services/pytest.ini --rootdir . tests/services/$*

check: $(VENV)/.ready-dev  ## style and types
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target check-platform $(SERVICES:%=check-%)

check-platform: $(VENV)/.ready-dev ## style everywhere, the workflows, and the types of the platform
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/zizmor --quiet --offline --persona=pedantic .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/mypy

$(SERVICES:%=check-%): check-%: services/%/.venv/.ready
	services/$*/.venv/bin/mypy --config-file services/mypy.ini --cache-dir .mypy_cache/$* services/$* tests/services/$*

bench: $(VENV)/.ready-dev  ## stage times and growth, side by side in one run
	$(BIN)/python tests/bench/preview.py

$(SERVICES:%=bench-%): bench-%: services/%/.venv/.ready ## figures of one service: make bench-data_api
	services/$*/.venv/bin/python -m tests.services.$*.bench

bench-data-api: bench-data_api

data-api: services/data_api/.venv/.ready ## the data-access API on this machine, with a sample, a token and lines to try
	@services/data_api/.venv/bin/python -m services.data_api.local

gateway: services/gateway/.venv/.ready ## the inference gateway on this machine, with two models, a token and lines to try
	@services/gateway/.venv/bin/python -m services.gateway.local

train: $(VENV)/.ready $(CHAIN:%=services/%/.venv/.ready) ## a model's whole way on this machine: rows, private training, red team, release, an answer
	@$(BIN)/blueprint train

FEDERATE := --mode secagg-dp

federate: services/federated/.venv/.ready ## three silos and a server on this machine learn together, a signed candidate: make federate FEDERATE="--mode plain"
	@services/federated/.venv/bin/python -m services.federated.local $(FEDERATE)

$(IMAGES:%=image-%): image-%: ## the image of one service (needs Docker): make image-data_api
	docker buildx build -f services/$*/Dockerfile $(IMAGE_ARGS) --load -t $(or $(IMAGE_TAG),$(subst _,-,$*)) .

images:                    ## the services that have an image, one a line
	@printf '%s\n' $(IMAGES)

lock: $(VENV)/.ready-dev $(SERVICES:%=lock-%) ## pin again what pyproject.toml admits
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

# What a torch.txt installs is left out of the lock (services/without-torch.txt).
$(SERVICES:%=lock-%): lock-%: $(VENV)/.ready-dev
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header $(if $(wildcard services/$*/torch.txt),--override services/without-torch.txt) services/$*/pyproject.toml -o services/$*/requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header $(if $(wildcard services/$*/torch.txt),--override services/without-torch.txt) --extra dev -c services/$*/requirements.lock services/$*/pyproject.toml -o services/$*/requirements-dev.lock

clean:                     ## remove what the other targets made
	rm -rf $(VENV) services/*/.venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not on the PATH; install Python 3.11 or newer and name it: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# uv installs in seconds what takes pip a minute. Where its settings lead to no registry, pip's may.
$(VENV)/bin/uv: | $(VENV)/bin/python
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements-dev.lock uv

# A lock is whole, so nothing beside it is looked for.
install = $(BIN)/uv pip install --quiet --no-deps --python $(1)/bin/python --requirement $(2) || \
	$(1)/bin/pip install --quiet --disable-pip-version-check --no-compile --requirement $(2)

$(VENV)/.ready: requirements.lock pyproject.toml | $(VENV)/bin/uv
	@echo "Installing what the preview needs (once)"
	@$(call install,$(VENV),requirements.lock)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	@echo "Installing what the tests need"
	@$(call install,$(VENV),requirements-dev.lock)
	@touch $@

services/%/.venv/bin/python: | $(VENV)/bin/uv
	$(PYTHON) -m venv services/$*/.venv

.PRECIOUS: services/%/.venv/bin/python
.SECONDEXPANSION:
services/%/.venv/.ready: services/$$*/requirements-dev.lock | services/$$*/.venv/bin/python
	@echo "Installing what $* needs"
	@# Torch's CPU and CUDA builds share a version, so which one is the machine's own choice, and no lock's.
	@$(if $(wildcard services/$*/torch.txt),services/$*/.venv/bin/pip install --quiet --disable-pip-version-check \
		--no-compile --constraint services/$*/requirements-dev.lock --requirement services/$*/torch.txt)
	@$(call install,services/$*/.venv,services/$*/requirements-dev.lock)
	@touch $@
