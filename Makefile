# Every target sets up .venv from the pinned requirements first; once it exists that costs nothing.
PYTHON ?= python3
PYTEST_ARGS ?=
LOCK_ARGS ?=

VENV := .venv
READY := $(VENV)/.ready
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --quiet --disable-pip-version-check

# One worker per core, one file per worker, so that a file's kernels are compiled once; more than 8 only fill memory.
XDIST := -n auto --maxprocesses 8 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup evolve test lint format types science soak test-browser test-cluster bench lock clean clean-cache

help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv from the pinned requirements

evolve: $(READY) ## evolve the quickstart preset, evaluate it and show where the pictures are
	@$(VENV)/bin/evoplastic run quickstart

test: $(READY) ## run the tests (PYTEST_ARGS="-k tasks" to choose)
	@$(PY) -m pytest $(XDIST) $(PYTEST_ARGS)

lint: $(READY) ## check style and formatting
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: $(READY) ## mend style and formatting
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: $(READY) ## check types
	@$(PY) -m mypy

science: $(READY) ## reproduce every claim that evolves something (hours); writes benchmarks/RESULTS.md and META_TASKS.md
	@$(PY) benchmarks/meta_tasks.py
	@$(PY) benchmarks/claims.py

soak: $(READY) ## faults and fuzzing at length
	@$(PY) -m pytest -m soak $(PYTEST_ARGS)

test-browser: $(READY) ## open an analysis in headless Chromium (BROWSER_SHOTS=FOLDER for its screenshots)
	@$(PY) -m pytest -s -m browser $(PYTEST_ARGS)

test-cluster: $(READY) ## what needs the extra [cluster], which it installs
	@$(PIP) install -c requirements.txt -e '.[cluster]'
	@$(PY) -m pytest -m cluster $(PYTEST_ARGS)

bench: $(READY) ## measure speed, overhead and memory
	@$(VENV)/bin/evoplastic bench

lock: ## pin all packages anew in requirements.txt (needs uv; LOCK_ARGS=--upgrade for newer versions)
	@uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --extra dev \
		--no-header $(LOCK_ARGS) pyproject.toml -o requirements.txt
	@{ echo '# Every package that evoplastic and its tests use, pinned; made from pyproject.toml by "make lock".'; \
		cat requirements.txt; } > requirements.txt.new && mv requirements.txt.new requirements.txt

clean: ## remove .venv, builds and tool caches (runs stay)
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-cache: $(READY) ## forget the compiled kernels of the present sources
	@$(PY) -c 'import shutil; from evoplastic.jit import cache_folder; shutil.rmtree(cache_folder())'

# An interrupted setup leaves no stamp and is taken up again; an environment whose pip does not run is made anew.
$(READY): requirements.txt pyproject.toml
	@command -v "$(PYTHON)" > /dev/null || { echo "evoplastic needs Python 3.11 to 3.14 and there is no $(PYTHON);" \
		"name yours, as in: make evolve PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 14) or sys.exit("evoplastic needs Python \
	3.11 to 3.14 and $(PYTHON) is %d.%d; name another, as in: make evolve PYTHON=python3.12" % v)'
	@echo "Setting up $(VENV) with the pinned packages (a minute or two the first time) ..."
	@$(PIP) --version > /dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	@$(PIP) install -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
