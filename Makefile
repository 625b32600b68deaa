# The commands of this project; `make` alone lists them. Works with GNU make 3.81 and later and any POSIX shell.

PYTHON ?= python3
VENV_PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help run test test-long check lock python install develop

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: install ## Run the site at http://127.0.0.1:8000 (PORT=8001 changes it) until Ctrl-C
	@exec $(VENV_PYTHON) -m project.processes --with-parent $$PPID

test: develop ## Run all tests, on SQLite and on PostgreSQL
	@exec $(VENV_PYTHON) -m tests.run

test-long: develop ## Run all tests and those that take long
	@exec $(VENV_PYTHON) -m tests.run --long

check: develop ## Check style, types, imports, migrations, settings of production and the lock
	@exec $(VENV_PYTHON) -m tests.check

lock: develop ## Write requirements*.txt for what requirements*.in ask (UPGRADE=--upgrade takes the newest of all)
	@set -e; uv=$$(command -v uv || echo .venv/bin/uv); for name in requirements requirements-dev; do \
		$$uv pip compile --quiet $(UPGRADE) --universal --python-version 3.11 --generate-hashes --no-header \
			--no-emit-index-url --no-emit-find-links --output-file $$name.txt $$name.in; \
	done

install: python
	@$(PYTHON) project/installation.py run

develop: python
	@$(PYTHON) project/installation.py develop

python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON). Install Python 3.11 or later, or name one: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is older than 3.11. Name a later one: make run PYTHON=python3.12" >&2; exit 1; }
