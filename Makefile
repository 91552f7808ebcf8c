# Bare `make` lists the targets. Each target makes what it needs by itself.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

# Threads that spin while they wait take the cores from those that work.
export OMP_WAIT_POLICY := passive
# Trust what the system trusts, as pip does: a company's own certificates too.
export UV_SYSTEM_CERTS := true

VENV := .venv
PYTHON := $(VENV)/bin/python
STACK := $(PYTHON) -m ml.stack
UV := $(VENV)/bin/uv
RUN := $(VENV)/.for-run
DEV := $(VENV)/.for-development
KERNELS := $(VENV)/.kernels
RIVALS := .rivals

.NOTPARALLEL:
.PHONY: help install run up stop status logs reset sql airflow env test lint format typecheck bench rivals night evaluate features browser lock

help: ## this list
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## /\1\t/' | expand -t 12

run: $(RUN) $(KERNELS) ## run a real night and print its predictions (conf='{"as_of": "2013-02-01"}' for a certain night)
	@$(STACK) run $(if $(conf),--conf '$(conf)')

up: $(RUN) $(KERNELS) ## start the stack without running a night
	@$(STACK) up

stop: $(RUN) ## end every process of the stack; its data stays
	@$(STACK) stop

status: $(RUN) ## what runs, since when, where, and the log-ins
	@$(STACK) status

logs: $(RUN) ## the ends of all logs, or of one (name=scheduler)
	@$(STACK) logs $(name)

reset: $(RUN) ## stop and forget all data of the stack (asks first)
	@$(STACK) reset

sql: $(RUN) ## psql as the reader, or one answer as CSV (make -s sql q="select ...")
	@$(STACK) sql $(if $(q),"$$q")
sql: export q := $(value q)

airflow: $(RUN) ## a command of Airflow's own (cmd="dags list")
	@$(STACK) airflow "$$cmd"
airflow: export cmd := $(value cmd)

env: $(RUN) ## shell exports of Airflow's environment, for eval
	@$(STACK) env

features: $(RUN) ## try your custom features, and prove that none looks ahead (data=FILE)
	@$(PYTHON) -m ml.equity.features.check $(data)

install: $(RUN) $(KERNELS) ## only make the virtual environment, and compile

# Three on two cores: while one waits for a server, another works.
test: $(DEV) $(KERNELS) ## all tests, three at a time (tests="tests/stack" for some)
	$(PYTHON) -m pytest -n 3 --dist loadgroup $(tests)

lint: $(DEV) ## style, and what the linters call bugs
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(DEV) ## put the code into the house's form
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

typecheck: $(DEV) ## mypy, strictly
	$(VENV)/bin/mypy .

bench: $(DEV) $(KERNELS) ## measure every room of the night, and print the table (rooms="ingest bars" for some)
	@$(PYTHON) -m tests.bench $(rooms)

rivals: $(DEV) $(RIVALS)/.installed ## time the features beside other libraries', which it installs into .rivals/
	@PYTHONPATH=$(RIVALS) $(PYTHON) -m tests.bench.rivals

night: $(DEV) $(KERNELS) ## time and weigh each step of a night over your own bars (data=FOLDER), beside the stack
	@$(PYTHON) -m tests.bench.night $(data)

evaluate: $(RUN) $(KERNELS) ## all estimators and ensembles over your own bars, as one page (data=FOLDER options="--horizons 5d")
	@$(PYTHON) -m ml.evaluation $(data) $(options)

study-%: $(DEV) ## put a promise to the test: adjustment (data=FILE), skill, recovery, sequence, regimes, gate, trained, refresh
	@$(PYTHON) -m tests.study.$* $(data)

browser: ## have a Chromium for the page tests
	@command -v chromium chromium-browser google-chrome >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	else \
	    echo "The page tests need Chromium. Install it, e.g.: sudo apt-get install chromium" >&2; exit 1; \
	fi

# The resolver is told neither index nor platform, so that the lock serves everywhere.
lock: $(RUN) ## resolve the requirements anew from pyproject.toml
	$(UV) pip compile --quiet pyproject.toml --universal --python-version 3.11 -o requirements.txt --no-emit-index-url --generate-hashes
	$(UV) pip compile --quiet pyproject.toml --universal --python-version 3.11 --no-emit-index-url --generate-hashes --extra dev -c requirements.txt -o tests/requirements.txt
	$(UV) pip compile --quiet --group rivals --no-deps --universal --python-version 3.11 --no-emit-index-url --generate-hashes -c tests/requirements.txt -o tests/bench/requirements.txt

# pip installs uv alone, checked against its hash in the lock; uv installs the rest, ten times faster.
$(UV): | $(VENV)/bin/pip
	@awk '/^[a-z0-9]/ {mine = ($$1 ~ /^uv==/)} mine' requirements.txt > $(VENV)/uv.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.txt

$(VENV)/bin/pip:
	@command -v python3.11 >/dev/null || { echo "Found no python3.11; Afterbell needs Python 3.11. Install it and try again." >&2; exit 1; }
	python3.11 -m venv $(VENV) || { echo "python3.11 cannot make virtual environments. On Debian: apt-get install python3.11-venv" >&2; rm -rf $(VENV); exit 1; }

$(RUN): requirements.txt | $(UV)
	$(UV) pip install --python $(PYTHON) --require-hashes --compile-bytecode --quiet -r requirements.txt
	@touch $@

# A superset of the other: it satisfies both stamps.
$(DEV): tests/requirements.txt | $(UV)
	$(UV) pip install --python $(PYTHON) --require-hashes --compile-bytecode --quiet -r tests/requirements.txt
	@touch $(RUN) $@

# Machine code for this machine: no night waits for it. Needs what either of the two above has installed.
$(KERNELS): $(wildcard ml/equity/features/kernels/*.py) | $(UV)
	$(PYTHON) -m ml.equity.features.compile
	@touch $@

# Beside the virtual environment and never in it: nothing of the product or its tests can come to need them.
$(RIVALS)/.installed: tests/bench/requirements.txt | $(UV)
	$(UV) pip install --python $(PYTHON) --target $(RIVALS) --no-deps --require-hashes --quiet -r tests/bench/requirements.txt
	@touch $@
