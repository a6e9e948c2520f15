# One word a habit. The environment is made on first use; VENV=path names another one.
VENV ?= .venv
PYTHON := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help run test lint fix docs train-tiny ci clean

help:  ## list these words
	@sed -n 's/^\([a-z-]*\):.*##/make \1 -/p' Makefile

$(VENV)/.installed: requirements.txt requirements-dev.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -r requirements-dev.txt
	@touch $@

run: $(VENV)/.installed  ## open the page
	$(PYTHON) app.py

test: $(VENV)/.installed  ## run the tests
	$(PYTHON) -m pytest

lint: $(VENV)/.installed  ## look for mistakes and wrong formatting
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check

fix: $(VENV)/.installed  ## mend what the linter can mend
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

docs: $(VENV)/.installed  ## write the generated table of the README again
	$(PYTHON) -m docs.tables

train-tiny: $(VENV)/.installed  ## train a storyteller in a minute
	$(PYTHON) -m train tiny

ci:  ## everything a change must pass, in a fresh environment
	bash .ci/run

clean:  ## remove caches; environments, runs and checkpoints stay
	rm -rf build dist *.egg-info .hypothesis .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
