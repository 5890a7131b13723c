# SPDX-License-Identifier: GPL-2.0-only
# make experiments: set up .venv and run the main job.  make test: set up .venv and pass every test.  make lint: style and types.  make docs: the documentation as HTML.
# make lock: constraints.txt and docker/lock from pyproject.toml.  make audit: known faults of what docker/lock names.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.PHONY: experiments test lint docs lock audit build clean
.DEFAULT_GOAL := experiments

experiments: build
	$(BIN)/edgelam run split-fedft

test: build lint
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/check_format.py

docs: build
	$(BIN)/sphinx-build -q -W --keep-going docs build/docs
	@echo "documentation: build/docs/index.html"

lock: build
	$(BIN)/python docker/lock.py

# In an environment of its own: it brings 30 packages that nothing else needs. --strict: what the service does not know
# is a failure, not a pass; so this needs the advisories of PyPI itself, which few mirrors have.
audit: build
	@[ -x build/audit/bin/pip-audit ] || { $(BIN)/python -m venv build/audit && build/audit/bin/pip install --quiet pip-audit==2.10.1; }
	build/audit/bin/pip-audit --strict --no-deps --disable-pip $(foreach name,torch-cuda packages build tests,--requirement docker/lock/$(name).txt)

# One lock: two makes may be started in one tree.
build:
	@flock .build.lock bash setup.sh "$(PYTHON)"

clean:
	rm -rf .venv build .build.lock
