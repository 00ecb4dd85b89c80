# Everything a developer runs. Works on a machine with Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := $(shell find xgraph grammar passes backends -name '*.py' -o -name '*.lark' -o -name py.typed)
CODE := xgraph grammar passes backends tests benchmarks examples

help:  ## print these targets
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: $(READY)  ## compile a cross-modal network to PyTorch and ONNX, and run both on photographs
	@$(BIN)/python examples/demo.py

test: $(READY)  ## all tests but the long ones
	$(BIN)/pytest -n 2

test-long: $(READY)  ## the tests that take minutes
	$(BIN)/pytest -n 2 -m long

lint: $(READY)  ## style and formatting
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/xgraph fmt --check examples/*.xg examples/*/*.xg
