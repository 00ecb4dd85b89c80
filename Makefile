# Everything a developer runs, on a machine with Python 3.11 or newer and nothing else.
#
# The environment in .venv holds the checkout itself (an editable installation), so tests, demo
# and `.venv/bin/xgraph` always run what is here. mypy cannot follow that, so `types` checks an
# ordinary installation, made afresh under build/.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.ready
INSTALLED := build/installed
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
PACKAGES := xgraph grammar passes backends
CODE := $(PACKAGES) tests benchmarks examples

help:  ## print the targets
	@awk -F ':.*##  *' '/^[a-z-]+:.*##/ { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(READY)  ## train a cross-modal network on digits, beside networks of one modality
	@$(BIN)/python examples/demo.py

test: $(READY)  ## run the tests, all but the long ones
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

test-long: $(READY)  ## run the tests that take minutes
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m long

lint: $(READY)  ## check style and formatting, of Python and of .xg
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/xgraph fmt --check $(wildcard examples/*.xg examples/*/*.xg)

types: $(INSTALLED)/.ready  ## check types, of the package as it is installed
	cd $(INSTALLED) && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p xgraph

bench: $(READY)  ## measure the compiler, training, and inference
	$(BIN)/python benchmarks/compile.py
	$(BIN)/python benchmarks/passes.py
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/inference.py

docs: $(READY)  ## write the op tables of docs/language.md anew, from the declarations
	$(BIN)/python -m xgraph.reference docs/language.md

dev: $(READY)  ## make the environment in .venv, and say how to enter it
	@echo 'Enter it with: source $(BIN)/activate'

clean:  ## remove the environment and everything else that is made
	rm -rf .venv build dist demo-out *.egg-info .*_cache .hypothesis

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'xgraph needs Python 3.11 or newer: make PYTHON=python3.12 ...'; exit 1; }
	@echo 'making the environment in .venv'
	@$(PYTHON) -m venv .venv
	@$(PIP) setuptools
	@$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@

# setuptools leaves modules that are gone in build/lib, and would install them again.
$(INSTALLED)/.ready: $(READY) $(shell find $(PACKAGES) -name '*.py' -o -name '*.lark')
	@rm -rf build/lib $(INSTALLED)
	@$(PIP) --no-deps --no-build-isolation --target $(INSTALLED) .
	@touch $@

.PHONY: help demo test test-long lint types bench docs dev clean
