# Each target works on a fresh clone, where only make and Python 3.11 or newer exist: it sets up .venv itself.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check fix lab notebooks outputs bench lock clean

# The Python that makes .venv: `make PYTHON=/path/to/python3`. First the version that the locks are tested on.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

# Settings for another Python, or for pip elsewhere, must not reach into .venv. And modules compiled once are to be kept:
# without that every kernel compiles pandas anew.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX PIP_REQUIRE_VIRTUALENV
export PYTHONNOUSERSITE := 1

VENV_PYTHON := .venv/bin/python
PYTEST := env -u THRESHER_ENGINE -u THRESHER_LAKE -u THRESHER_LEDGER $(VENV_PYTHON) -m pytest
NOTEBOOKS ?= 0*.ipynb reports/*.ipynb
PIPELINE ?= pipelines/courses.yml
LOCK_FLAGS ?=
COMPILE = $(VENV_PYTHON) -m uv pip compile pyproject.toml --group setup --universal --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet

# What is installed, by content: a changed lock is installed once, an unchanged one never again.
id = $(shell { cat $(1) pyproject.toml tools/set_up.py; pwd; } | cksum | cut -d' ' -f1)
DEV := .venv/dev-$(call id,requirements-dev.lock).stamp
BASE := $(firstword $(wildcard $(DEV)) .venv/base-$(call id,requirements.lock).stamp)

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

demo: $(BASE) ## Run the course pipeline on the sample data, and print where its site is
	@$(VENV_PYTHON) -m thresher run "$(PIPELINE)"

test: $(DEV) ## Run every test: library, examples in docstrings, notebooks
	$(PYTEST) -n auto --maxprocesses 4 --dist loadscope --durations=25 tests lib

check: $(DEV) ## Check style, types and the set-up files; change nothing
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy
	$(PYTEST) --quiet tests/test_environment_files.py $(wildcard tests/test_docs*.py)

fix: $(DEV) ## Repair what style checks can repair
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

lab: $(DEV) ## Open JupyterLab on the notebooks
	$(VENV_PYTHON) -m thresher lab

notebooks: $(DEV) ## Run the notebooks and compare with what they show
	$(VENV_PYTHON) -m thresher check notebooks $(addprefix notebooks/,$(NOTEBOOKS))

outputs: $(DEV) ## Run the notebooks, show what differs from what they show, and keep it
	$(VENV_PYTHON) -m thresher check notebooks --accept --yes $(addprefix notebooks/,$(NOTEBOOKS))

bench: $(DEV) ## Run every benchmark
	@for script in benchmarks/*.py; do echo "== $$script"; $(VENV_PYTHON) "$$script" || exit 1; done

lock: $(DEV) ## Write the locks and environment.yml from pyproject.toml (newer versions: LOCK_FLAGS=--upgrade)
	$(COMPILE) --all-extras $(LOCK_FLAGS) --output-file requirements-dev.lock
	@# What stands in the output file is kept: so both locks have the same versions.
	cp requirements-dev.lock requirements.lock
	$(COMPILE) --output-file requirements.lock
	$(VENV_PYTHON) tools/write_environment.py

clean: ## Remove what runs and checks leave behind, and .venv
	rm -rf .venv lake site runs build dist lib/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV_PYTHON):
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found. Install one, or name it:" \
		"make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		f"{sys.executable} is Python {sys.version.split()[0]}; 3.11 or newer is needed: make PYTHON=/path/to/python3")'
	@"$(PYTHON)" -m venv --clear .venv || { rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment" \
		"(on Debian: apt-get install python3-venv)." >&2; exit 1; }

.venv/base-%.stamp: | $(VENV_PYTHON)
	@$(VENV_PYTHON) tools/set_up.py requirements.lock
	@$(VENV_PYTHON) -m thresher kernels install >/dev/null
	@rm -f .venv/base-*.stamp && touch $@

.venv/dev-%.stamp: | $(VENV_PYTHON)
	@$(VENV_PYTHON) tools/set_up.py requirements-dev.lock
	@$(VENV_PYTHON) -m thresher kernels install >/dev/null
	@rm -f .venv/dev-*.stamp && touch $@
