# Tidegate's tasks. `make` alone lists them. Everything is installed inside the checkout.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export SAM_CLI_TELEMETRY := 0
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## Show what there is to do
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / {printf "  \033[1m%-24s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements/dev.txt pyproject.toml embedded/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tidegate needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --editable . --editable embedded
	@touch $@

.PHONY: install
install: $(STAMP) ## Install everything into .venv, from the lock

.PHONY: lock
lock: $(STAMP) ## Resolve the dependencies anew
	$(BIN)/uv pip compile pyproject.toml --extra local --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --upgrade \
	  --no-emit-package tidegate --no-emit-package tidegate-embedded --output-file requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml --extra controller --universal --python-version 3.11 --constraint requirements/dev.txt \
	  $(addprefix --no-emit-package ,boto3 botocore s3transfer python-dateutil six urllib3) \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --output-file controller/requirements.txt
	$(BIN)/uv pip compile --group guardian --universal --python-version 3.11 --constraint requirements/dev.txt \
	  $(addprefix --no-emit-package ,boto3 botocore jmespath s3transfer python-dateutil six urllib3) \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --output-file controller/requirements-guardian.txt
	$(BIN)/uv pip compile pyproject.toml --extra build --group release-tests --universal --python-version 3.11 \
	  --constraint requirements/dev.txt --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --output-file controller/tidegate/cli/requirements-release.txt
	$(BIN)/uv pip compile pyproject.toml functions/requirements/build.in --extra build --universal --python-version 3.11 \
	  --constraint requirements/dev.txt --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --output-file functions/requirements/build.txt
	$(BIN)/uv pip compile functions/requirements/test.in --universal --python-version 3.11 \
	  --constraint requirements/dev.txt --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --output-file functions/requirements/test.txt

.PHONY: check
check: $(STAMP) ## Lint, types, templates, state machines; edits nothing
	ruff check
	ruff format --check
	mypy
	cfn-lint template.yaml pipeline/*.yaml functions/template.yaml
	sam validate --lint --template template.yaml
	sam validate --lint --template functions/template.yaml
	python tools/build_asl.py --check
	python tools/check_asl.py statemachine/*.asl.yaml

.PHONY: fix
fix: $(STAMP) ## Format, and mend what the linter can mend
	ruff check --fix
	ruff format

.PHONY: test
test: $(STAMP) ## All tests, with coverage; the core must be at 100 %
	pytest --numprocesses 3 --cov --cov-report=
	coverage report --include 'controller/tidegate/core/*' --fail-under 100
	coverage report --format total | xargs printf 'Coverage of everything, branches included: %s %%\n'

.PHONY: test-speeds
test-speeds: $(STAMP) ## The tests that touch time, at four speeds of the machine and of the embedded AWS
	python tools/run_speeds.py

.PHONY: bench-stacks
bench-stacks: $(STAMP) ## Measure a stack of 100 functions at Lambda's rate; writes a section of docs/bench.md
	python -m bench.lambda_rate --functions 100 --page docs/bench.md

.PHONY: test-templates
test-templates: $(STAMP) ## Deploy, update and take back every template of tests/templates, and nothing else
	pytest --numprocesses 2 -m templates

.PHONY: integration_test_local
integration_test_local: $(STAMP) ## The hooks at a local Lambda endpoint; ENDPOINT=sam|local forces one
	ENDPOINT=$(or $(ENDPOINT),auto) pytest --verbose tests/integration

.PHONY: faults
faults: $(STAMP) ## The fault campaign: a fault at every call, pairs, triples, races; some 25 minutes
	PYTHONPATH=tests python -m faults.campaign

.PHONY: demo
demo: $(STAMP) ## Commits travel to prod on this machine; INTERACTIVE=1: you approve; KEEP=1: it stays up
	tidegate local demo $(if $(INTERACTIVE),--interactive) $(if $(KEEP),--keep)

.PHONY: picture
picture: $(STAMP) ## Run the demonstration and draw docs/images/demo.svg from it
	python tools/draw_demo.py

.PHONY: bench-analysis
bench-analysis: $(STAMP) ## Measure the analysis against CodeDeploy; writes docs/analysis.md
	python -m bench.analysis --output docs/analysis.md

.PHONY: bench
bench: $(STAMP) ## Measure the reaction and the Lambda endpoints; writes their sections of docs/bench.md
	python -m bench.lambda_endpoints
	python -m bench.reaction

.PHONY: asl
asl: $(STAMP) ## Build the state machines from statemachine/source
	python tools/build_asl.py

.PHONY: distribution
distribution: $(STAMP) ## Wheels, checksums and notes in dist; TAG=v1.2.3 for a release
	python tools/distribute.py $(if $(TAG),--tag $(TAG))

.PHONY: schema
schema: $(STAMP) ## Write the manifest's JSON Schema anew
	python -c 'import json; from tidegate.core.model.manifest import manifest_schema; print(json.dumps(manifest_schema(), indent=2))' > docs/reference/tidegate.schema.json

.PHONY: clean
clean: ## Remove what the tasks made, the virtual environment too
	rm -rf $(VENV) build dist .aws-sam .tidegate .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
