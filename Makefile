# One virtual environment, made from pyproject.toml with the versions of constraints.txt.
# Override on the command line:  make test ARGS="-k store"   make install PYTHON=python3.12 VENV=.venv312
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
SPEC ?= specs/resnet20_imp.yaml
PIP_ARGS ?=

bin := $(VENV)/bin
# It looks for the harness on the path.
dvc := PATH="$(abspath $(bin)):$$PATH" DVC_NO_ANALYTICS=1 dvc
# A module's tests stay together, as they share what is costly to make.
tests := $(bin)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --durations 15 --durations-min 5
# Remembers an install of this pyproject.toml with these constraints; deleted with the environment.
stamp := $(VENV)/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install verify repro image image-verify lock reports regress test bless format check

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo '  Variables: PYTHON=$(PYTHON)  VENV=$(VENV)  SPEC=$(SPEC)  ARGS (to verify, repro, image-verify, reports, test)  PIP_ARGS=$(PIP_ARGS)'

install: $(stamp) ## Make the virtual environment with the pinned versions; again only when they change

$(stamp): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'make install: Python 3.11 or newer is needed, and "$(PYTHON)" is not:' \
			"$$($(PYTHON) --version 2>&1). Name one: make install PYTHON=/path/to/python3.11" >&2; exit 1; }
	@tools/install '$(PYTHON)' '$(VENV)' $(PIP_ARGS)
	@touch $@

verify: install ## Check the claims of SPEC and write the report; options go in ARGS
	@$(bin)/harness verify $(SPEC) --exit-zero $(ARGS)

repro: install ## Bring all specs up to date with DVC: measure, report, index, gate; options of dvc repro go in ARGS
	@$(dvc) repro $(ARGS)

reports: install ## The same without the gate: the reports of the catalogue and the page over all, reports/index.html
	@$(dvc) repro index $(ARGS)

image: ## Build the container, for the CPU or with CUDA as this machine is (DEVICE=cpu, cuda); more: tools/image
	@tools/image build

image-verify: ## The same as verify, in the container: offline, read-only, as the caller
	@tools/image verify $(SPEC) --exit-zero $(ARGS)

# torch is named in the Dockerfile, and what its CUDA builds bring (the end of constraints.txt) comes with it. dvc
# records results in the repository, which is outside. Both would bind the lock to one machine, or fill the image.
lock: install ## Write requirements.lock, the container's versions with hashes, again
	@$(bin)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt uv
	@{ echo dvc; sed -n '/^cuda-bindings/,$$s/==.*//p' constraints.txt; } | $(bin)/uv pip compile --quiet --universal \
		--python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make lock' \
		--constraints constraints.txt --excludes /dev/stdin --no-emit-package torch pyproject.toml -o requirements.lock

regress: install ## Run the toy specs that have a baseline in a fresh store, and compare; options go in ARGS
	$(bin)/harness regress $(ARGS)

test: install ## Run the tests, in several processes; pytest options go in ARGS (-n 0: in one)
	$(tests) $(ARGS)

bless: install ## Rewrite the golden files of versions, sources and keys; read the diff that it prints
	@PYTHONPATH=. $(bin)/python -m tests.golden.bless

format: install ## Format the code and mend what lint can mend
	$(bin)/ruff format
	$(bin)/ruff check --fix

check: install ## Check everything: format, lint (Dockerfile too), types, import layers, tests
	$(bin)/ruff format --check
	$(bin)/ruff check
	$(bin)/mypy
	$(bin)/lint-imports
	$(bin)/hadolint Dockerfile
	$(tests)
