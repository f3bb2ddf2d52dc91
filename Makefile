# Two commands do everything: `make run` starts the app, `make test` checks it. Python 3.11 or newer with venv is all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test fast coverage cluster constraints clean

help:
	@echo "make run          start the app on http://localhost:8501 (ADDRESS=0.0.0.0 lets others in)"
	@echo "make test         the whole check: style, types and all tests; CI runs the same"
	@echo "make fast         style and the quick tests, in under a minute"
	@echo "make cluster      runs in a Ray cluster on this machine: tests, and nodes that are killed; ten minutes"
	@echo "make coverage     all tests, and which lines they run through"
	@echo "make constraints  the whole check, then constraints.txt with the versions that it passed with"
	@echo "make clean        remove the virtual environment and caches"

# For this machine only; for others too: make run ADDRESS=0.0.0.0
ADDRESS ?= 127.0.0.1

run: $(VENV)/.installed
	$(BIN)/streamlit run app.py --server.address=$(ADDRESS)

# Many tests start a process. Where Python may not keep what it compiled (Docker images often set PYTHONDONTWRITEBYTECODE), each of them
# compiles torch again, about 6 s. The tests keep it, in the virtual environment, where `make clean` removes it.
KEEPING := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX="$(CURDIR)/$(VENV)/pycache"
# Tests in so many processes at once: one more than two cores can use, since many tests wait for a process, a browser or a run. More pay
# on a machine with more cores: make test WORKERS=8
WORKERS ?= 3
BROWSER_WORKERS ?= 2
# Browser tests have processes of their own: Playwright leaves an event loop running, in which other tests cannot start theirs. They begin
# when the others have ended: five processes on two cores take longer than three and then two, and pages answer late.
STYLE := $(BIN)/ruff check . && $(BIN)/ruff format --check .
TYPES := $(BIN)/mypy $(if $(CI),--cache-dir=/dev/null)
# In a fresh checkout, all processes would compile the same files at the same time: one does it first, next to the types.
COMPILE := $(if $(CI),$(BIN)/python -m pytest --collect-only -qq --ignore=tests/browser > /dev/null;)
TESTS := -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore=tests/browser
BROWSER_TESTS := -m pytest -n $(BROWSER_WORKERS) --dist loadfile --no-loadscope-reorder $(if $(CI),--reruns 1 --rerun-show-tracebacks -rR) tests/browser

test: $(VENV)/.installed-dev
	$(KEEPING) $(BIN)/python .ci/together.py "style: $(STYLE)" "types: $(TYPES)" "tests: $(COMPILE) $(BIN)/python $(TESTS)" $(if $(ALSO),"$(ALSO)") \
		--then "browser tests: $(BIN)/python $(BROWSER_TESTS)"

# Tests and a benchmark that need a Ray cluster, one of them a browser as well: about ten minutes, most of it benchmarks/cluster.py.
cluster: $(VENV)/.installed-dev
	$(KEEPING) $(BIN)/python -m pytest tests/cluster
	CLUSTER_TESTS=1 $(KEEPING) $(BIN)/python -m pytest tests/browser/test_cluster.py
	$(KEEPING) $(BIN)/python -m benchmarks.cluster

# Which lines the tests run through, in their processes too. A measure, no gate: Python is about half as fast meanwhile.
coverage: $(VENV)/.installed-dev
	$(BIN)/coverage erase
	$(KEEPING) $(BIN)/python .ci/together.py "tests: $(BIN)/coverage run $(TESTS)" --then "browser tests: $(BIN)/coverage run $(BROWSER_TESTS)"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# What takes seconds: pure functions, the networks, the documentation.
FAST := tests/networks tests/doctor tests/training/test_losses.py tests/test_config.py tests/test_documentation.py tests/test_requirements.py \
	tests/test_glossary.py tests/test_images.py tests/test_imports.py tests/test_latent.py tests/test_owners.py tests/test_untrusted.py

fast: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(KEEPING) $(BIN)/python -m pytest -q $(FAST)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

constraints: test
	$(BIN)/python .ci/constraints.py > constraints.new
	mv constraints.new constraints.txt

# Without PINNED=1, pip takes the newest versions that the requirements admit; with it, those that the tests last passed with.
# Python compiles what it imports, when it first does; all of torch would take a minute.
# Continuous integration starts without a virtual environment each time, and does not wait for pip to unpack gigabytes on one core.
PIP := $(BIN)/python $(if $(CI),.ci/install.py,-m pip install --disable-pip-version-check --no-compile)
INSTALL := $(PIP) $(if $(PINNED),-c constraints.txt)

$(VENV)/.installed: requirements.txt $(if $(PINNED),constraints.txt) | $(VENV)/bin/python
	$(INSTALL) -r requirements.txt
	touch $@

# These include requirements.txt.
$(VENV)/.installed-dev: requirements-dev.txt requirements-cluster.txt requirements.txt $(if $(PINNED),constraints.txt) | $(VENV)/bin/python
	$(INSTALL) -r requirements-dev.txt
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) .coverage* .pytest_cache .ruff_cache .mypy_cache build dist *.egg-info
