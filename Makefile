# Everything a person does with this repository. `make` or `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := .ci/node
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-18s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.runs ## Start everything on this machine, with a demo shop to break
	$(BIN)/unjam demo $(ARGS)

test: system $(VENV)/.tests ## Run all tests (ARGS="-k word" for some)
	$(BIN)/python -m pytest $(ARGS)

test-engines: system $(VENV)/.tests ## Play the corpus in Firefox and WebKit too, in a quarter of an hour
	UNJAM_TESTS_ENGINES=all $(BIN)/python -m pytest tests/test_corpus.py tests/test_freeze.py $(ARGS)

check: $(VENV)/.tests ## Check format, lint, types and templates
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/djlint templates --lint --quiet
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory check-embed; \
	else echo "npm is missing, so the JavaScript was not checked. Run: make test"; exit 1; fi

check-embed: $(NODE)/node_modules/.package-lock.json
	npm --prefix $(NODE) run --silent lint
	npm --prefix $(NODE) run --silent types

format: $(VENV)/.tests ## Format Python and mend what the linter can
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: system $(VENV)/.tests ## Measure speed, size and memory beside bare servers, and a month of ranking, in some minutes
	$(BIN)/python -m tests.bench $(ARGS)

bench-panel: system $(VENV)/.tests ## Measure the panel on PostgreSQL with a million attempts (ARGS=N for N)
	$(BIN)/python -m tests.bench.panel $(ARGS)

bench-month: system $(VENV)/.tests ## Play a month of a shop: how much the ranking of the ways out recovers
	$(BIN)/python -m tests.bench.month $(ARGS)

bench-detection: system $(VENV)/.tests ## Play 500 healthy checkouts in three engines and count false stalls (ARGS=N for N)
	$(BIN)/python -m tests.bench.detection $(ARGS)

embed: $(NODE)/node_modules/.package-lock.json ## Build static/dist/embed.js from static/embed/
	npm --prefix $(NODE) run --silent build

keep-embed: ## Keep the present build of the embed for the shops that pin it; before each release
	@mkdir -p static/dist/kept
	@hash=$$(sha256sum static/dist/embed.js | cut -c1-12) && cp static/dist/embed.js "static/dist/kept/embed-$$hash.js" && \
	echo "Kept static/dist/kept/embed-$$hash.js; commit it."

migration: $(VENV)/.tests ## Write the next migration from the models: make migration m="Add refunds"
	@test -n "$(m)" || { echo 'Say what it does: make migration m="Add refunds"' >&2; exit 2; }
	$(BIN)/python -m widget.migrations "$(m)"

gallery: system $(VENV)/.tests ## Take the pictures of static/docs/panel.md again
	UNJAM_GALLERY=static/docs/screens $(BIN)/python -m pytest tests/test_gallery.py $(ARGS)

translations: $(VENV)/.tests ## Take new texts into the catalogues and list what is left to translate
	$(BIN)/python -m widget.translations $(ARGS)

build: $(VENV)/.tests ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(NODE)/node_modules dist build .demo .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find widget tests -name __pycache__ -prune -exec rm -rf {} +

system:
	@PYTHON=$(PYTHON) .ci/setup test

# The stamps below are older than pyproject.toml exactly when something must be installed again.
# The editable install makes `.venv/bin/unjam` run the code of this checkout.
$(VENV)/.runs: pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.tests: pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --editable '.[postgresql,redis]' --group dev
	@touch $@ $(VENV)/.runs

$(VENV)/.made:
	@PYTHON=$(PYTHON) .ci/setup demo
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(NODE)/node_modules/.package-lock.json: $(NODE)/package-lock.json
	npm --prefix $(NODE) ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: help demo test test-engines check check-embed format bench bench-panel bench-month bench-detection embed keep-embed gallery translations migration build clean system
