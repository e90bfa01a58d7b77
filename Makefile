# Every target is safe to repeat. Only Python 3.11+, make and git are needed to start.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Many images forbid bytecode files; then each of our processes would compile all it imports anew.
export PYTHONDONTWRITEBYTECODE :=
UV_VERSION := 0.13.8
DATA ?= ./gatelens-data

.DEFAULT_GOAL := help
.PHONY: help bench-collector setup setup-dev demo test test-slow test-demo fuzz golden lint format types imports docs screenshots lock bench-alerts bench-analytics bench-first-chart bench-import bench-otlp bench-overload bench-screens bench-scrub bench-storage clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Gatelens needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# The stamps make a second `make demo` or `make test` start at once.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.runtime ## install what Gatelens needs to run into .venv

setup-dev: $(VENV)/.dev ## the same, with what tests and checks need

demo: $(VENV)/.runtime ## start everything with live sample traffic
	@exec $(BIN)/gatelens demo --data $(DATA)

test: $(VENV)/.dev ## run the suite
	@$(BIN)/python -m tests.browser_check
	@$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.dev ## run the long tests and those with real peers
	@$(BIN)/python -m pytest -m 'slow or peer' --timeout 1200

test-demo: $(VENV)/.dev ## the demo as a newcomer sees it, in a browser (three minutes)
	@$(BIN)/python -m pytest -m slow tests/e2e/test_demo.py

fuzz: $(VENV)/.dev ## compare the OTLP decoder with Google's on random bodies (FUZZ_SECONDS=300, FUZZ_SEED)
	@$(BIN)/python -m tests.collector.otlp.fuzz --seconds $(or $(FUZZ_SECONDS),300) $(if $(FUZZ_SEED),--seed $(FUZZ_SEED))

golden: $(VENV)/.dev ## write the golden cases anew; review them with git diff
	@GOLDEN=write $(BIN)/python -m pytest -q -k golden tests/collector

lint: $(VENV)/.dev ## ruff: style and likely mistakes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(VENV)/.dev ## let ruff put the code in shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy

imports: $(VENV)/.dev ## imports go one way
	@$(BIN)/lint-imports --no-logo

docs: $(VENV)/.runtime ## write the reference pages anew from the code
	@$(BIN)/python -m gatelens.reference docs

screenshots: $(VENV)/.dev ## photograph the screens of the running demo for the docs
	@$(BIN)/python docs/make_screenshots.py

lock: $(BIN)/uv ## make the lock files anew from pyproject.toml
	@$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header -q pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header -q pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

bench-collector: $(VENV)/.dev ## load the collector and count CPU-seconds per million records
	@$(BIN)/python -m benchmarks.bench_collector

bench-alerts: $(VENV)/.dev ## time from a breach to the notice, and a round of 1,000 rules
	@$(BIN)/python -m benchmarks.bench_alerts

bench-analytics: $(VENV)/.dev ## time rollups and questions
	@$(BIN)/python -m benchmarks.bench_analytics
	@$(BIN)/python -m benchmarks.bench_job_cost

bench-first-chart: $(VENV)/.dev ## time from git clone to the first chart in a browser
	@$(BIN)/python -m benchmarks.first_chart

bench-import: $(VENV)/.dev ## time the import of NGINX lines, against goaccess
	@$(BIN)/python -m benchmarks.bench_import

bench-otlp: $(VENV)/.dev ## time the OTLP decoder, in ms per 1,000 records
	@$(BIN)/python -m benchmarks.bench_otlp_decode

bench-screens: $(VENV)/.dev ## time the screens in a browser, and what readers cost the intake
	@$(BIN)/python -m benchmarks.bench_screens
	@$(BIN)/python -m benchmarks.bench_readers

bench-storage: $(VENV)/.dev ## time writing, merging and asking the lake
	@MIMALLOC_PURGE_DELAY=10000 $(BIN)/python -m benchmarks.bench_storage  # as the jobs role has it

bench-overload: $(VENV)/.dev ## several times what the collector can take: memory, goodput, waits (needs wrk)
	@$(BIN)/python -m benchmarks.bench_overload

bench-scrub: $(VENV)/.dev ## time the search for secrets before the write-ahead log
	@$(BIN)/python -m benchmarks.bench_wal_scrub

clean: ## remove the environment, caches and the demo's data
	@rm -rf $(VENV) gatelens-data .fuzz .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
