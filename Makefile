# Catalograph's commands; `make` alone lists them. They need make and Python 3.11 or later. What else is needed they
# fetch once, into .cache, .venv and api/explorer here.

UV_VERSION := 0.13.9
UV := .cache/uv/bin/uv
BIN := .venv/bin

# The first interpreter that is new enough; `make PYTHON=/path/to/python3 ...` names another. Looked for only at set-up.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11) or print(sys.executable))' 2>/dev/null && break; \
	done)

# What the caller's shell has activated is no business of ours.
unexport VIRTUAL_ENV CONDA_PREFIX UV_PROJECT_ENVIRONMENT PYTHONPATH PYTHONHOME

# A company may have a certificate authority of its own, which the system knows and uv's built-in list does not.
ifneq ($(wildcard /etc/ssl/certs/*.crt /etc/ssl/cert.pem),)
export UV_SYSTEM_CERTS := true
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-long check fix bench explorer explorer-if-possible

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: .venv/.development explorer-if-possible ## Everything, for running and developing; gives .venv/bin/catalograph

demo: ## A demo company's catalog in your browser; ARGS="--port 9000" is passed on
	@$(MAKE) --silent --no-print-directory -j2 .venv/.runtime explorer-if-possible
	@exec $(BIN)/catalograph demo $(ARGS)

test: .venv/.development explorer-if-possible ## All tests but the long ones; ARGS="tests/db -k lease" picks some
	@exec $(BIN)/pytest -n auto --maxprocesses 4 --dist loadgroup $(ARGS)

test-long: export CATALOGRAPH_TEST_LONG := 1
test-long: test ## All tests, also those that take minutes

check: .venv/.development ## Style, types and the rules of the house; edits nothing
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/pytest --quiet tests/test_architecture.py

fix: .venv/.development ## Mends the style, prints the schema anew, and README's table of settings
	@$(BIN)/ruff check --fix --quiet --exit-zero
	@$(BIN)/ruff format --quiet
	@$(BIN)/catalograph print-schema > .cache/schema.graphql && mv .cache/schema.graphql schema/schema.graphql
	@$(BIN)/python -m tests.house.settings_table

bench: .venv/.development ## Benchmarks, with their numbers
	@exec $(BIN)/python -m tests.bench $(ARGS)

explorer: | $(UV) ## Builds the explorer page, where it is not there yet
	@$(BUILD_EXPLORER)

explorer-if-possible: | $(UV)
	@$(BUILD_EXPLORER) || true # it has said why, and all else works without the page

# Stdlib only, so it need not wait for the packages. With our uv it fetches Node where the machine has none.
BUILD_EXPLORER = UV="$(CURDIR)/$(UV)" \
	$(if $(wildcard $(BIN)/python),$(BIN)/python,"$(PYTHON)") api/explorer/build.py

# Stamps: what is installed is what the lock says. `--inexact` leaves the tools of a developer alone.
SYNC = $(UV) sync --locked --quiet --no-python-downloads $(if $(wildcard $(BIN)/python),,--python "$(PYTHON)")

.venv/.runtime: pyproject.toml uv.lock | $(UV)
	@echo 'Fetching the Python packages ...'
	@$(SYNC) --no-dev --inexact
	@touch $@

.venv/.development: pyproject.toml uv.lock | $(UV)
	@echo 'Fetching the Python packages, and the tools of developers ...'
	@$(SYNC)
	@touch .venv/.runtime $@

# A link to the machine's uv, where that one can read our lock; else one of our own.
$(UV):
	@test -n "$(PYTHON)" || { echo 'Catalograph needs Python 3.11 or later, and found none on PATH.' \
		'`make PYTHON=/path/to/python3 ...` names one.' >&2; exit 1; }
	@rm -rf .cache/uv && mkdir -p .cache
	@if uv lock --check --quiet 2>/dev/null; then \
		mkdir -p $(@D) && ln -s "$$(command -v uv)" $@; \
	else \
		$(INSTALL_UV); \
	fi

# Debian's Python may come without venv, or without pip, or without both.
INSTALL_UV = echo 'Fetching uv $(UV_VERSION) ...'; \
	if "$(PYTHON)" -m venv --clear .cache/uv >/dev/null 2>&1; then \
		$(@D)/pip install $(PIP_OPTIONS) uv==$(UV_VERSION); \
	elif "$(PYTHON)" -m pip --version >/dev/null 2>&1; then \
		"$(PYTHON)" -m pip install $(PIP_OPTIONS) --target .cache/uv uv==$(UV_VERSION); \
	else \
		echo '$(PYTHON) has neither venv nor pip. On Debian and Ubuntu: apt install python3-venv.' \
			'Or install uv yourself.' >&2; exit 1; \
	fi
PIP_OPTIONS := --quiet --disable-pip-version-check --no-input
