# SPDX-License-Identifier: GPL-2.0-only
# make experiments: set up .venv and run the main job.  make test: set up .venv and pass every test.  make lint: style and types.  make docs: the documentation as HTML.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.PHONY: experiments test lint docs build clean
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

# One lock: two makes may be started in one tree.
build:
	@flock .build.lock bash setup.sh "$(PYTHON)"

clean:
	rm -rf .venv build .build.lock
