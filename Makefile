# One word a habit. The environment is made on first use; VENV=path names another one.
VENV ?= .venv
PYTHON := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help run test lint fix docs lock audit space train-tiny ci clean

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

docs: $(VENV)/.installed  ## write the generated tables of the READMEs and docs again
	$(PYTHON) -m docs.tables

TOOLS := $(VENV)/tools
$(TOOLS)/.installed: Makefile
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install uv==0.13.9 pip-audit==2.10.1
	@touch $@

lock: $(VENV)/.installed $(TOOLS)/.installed  ## pin every package with its hashes
	$(PYTHON) -m docs.lock $(TOOLS)/bin/uv

audit: $(TOOLS)/.installed  ## ask PyPI for known faults of the pinned packages
	$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock

space: $(VENV)/.installed  ## start the page as a Space does, in a fresh environment of requirements.txt alone
	rm -rf build/space
	python3 -m venv build/space
	build/space/bin/python -m pip install -r requirements.txt
	STORYLAB_PYTHON=$(CURDIR)/build/space/bin/python $(PYTHON) -m pytest tests/test_start.py

train-tiny: $(VENV)/.installed  ## train a storyteller in a minute
	$(PYTHON) -m train tiny

ci:  ## everything a change must pass, in a fresh environment
	bash .ci/run

clean:  ## remove caches; environments, runs and checkpoints stay
	rm -rf build dist *.egg-info .hypothesis .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
