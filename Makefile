# From a fresh clone: `make demo`, `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
TEST_ARGS ?=
FAULTS_ARGS ?=
COVERAGE_FLOOR ?= 90
WORKERS ?= 2

export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test coverage slow faults lint format clean distclean

help: ## List the targets and the variables they read.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=$(PYTHON) (3.11 to 3.13) VENV=$(VENV) DEMO_ARGS TEST_ARGS FAULTS_ARGS COVERAGE_FLOOR=$(COVERAGE_FLOOR) WORKERS=$(WORKERS)"

demo: $(VENV)/.runtime ## Train a VAE on handwritten digits, draw, save, export. DEMO_ARGS="--epochs 2" is passed on.
	$(BIN)/python examples/demo.py $(DEMO_ARGS)

test: $(VENV)/.test ## Run all but the slow tests. TEST_ARGS="-x" is passed on.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope -m "not slow" $(TEST_ARGS)

coverage: $(VENV)/.test ## Run all but the slow tests with coverage, which takes half as long again.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope -m "not slow" --cov --cov-report=term --cov-fail-under=$(COVERAGE_FLOOR) $(TEST_ARGS)

slow: $(VENV)/.test ## Run the slow tests: XLA, fresh processes, exports. TEST_ARGS is passed on.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope -m slow $(TEST_ARGS)

faults: $(VENV)/.test ## Kill, corrupt, fill the disk, inject NaN; print what is lost. Some minutes. FAULTS_ARGS="--trials 3" is passed on.
	$(BIN)/python tests/faults/run.py $(FAULTS_ARGS)

lint: $(VENV)/.test ## Check the formatting and the style; changes nothing.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/.test ## Format the code and mend what ruff can mend.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Delete caches and build outputs; keep the virtual environment.
	rm -rf build dist *.egg-info .coverage .coverage.* htmlcov .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.*' -prune -exec rm -rf {} +

distclean: clean ## Delete the virtual environment as well.
	rm -rf $(VENV)

# Each stamp is written last, so that an interrupted install is repeated and a finished one is not.
$(VENV)/.runtime: setup.py constraints.txt | $(BIN)/pip
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[all]"
	@touch $@

$(VENV)/.test: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,test]"
	@touch $@

$(BIN)/pip:
	@command -v "$(PYTHON)" > /dev/null || { \
	  echo "No \`$(PYTHON)\` on the path. Fix: make $(MAKECMDGOALS) PYTHON=<a Python 3.11, 3.12 or 3.13>" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "tfvae needs Python 3.11, 3.12 or 3.13; \`$(PYTHON)\` is $$("$(PYTHON)" --version 2>&1 | head -n 1)." \
	    "Fix: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	"$(PYTHON)" -m venv "$(VENV)"
