# make demo   set everything up and watch the loop find a lower val_bpb on this machine's CPU
# make test   set everything up and pass lint, types, the import contract and the tests
# make pictures   the README's pictures anew: a real session's screen, chart and page
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   ?= workspaces/demo

.PHONY: demo test lint soak bench pictures clean

demo: $(VENV)/installed
	$(BIN)/autoresearch-tui demo $(DEMO)

test: lint
	@tests/programs.sh
	$(BIN)/pytest -n 3 --dist loadgroup

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: $(VENV)/installed-dev
	$(BIN)/pytest -m soak --timeout 3600

bench: $(VENV)/installed-dev
	$(BIN)/python -m tests.benchmarks

pictures: $(VENV)/installed-dev
	$(BIN)/python -m tests.pictures

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "autoresearch-tui needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
