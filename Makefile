# Two commands: `make run` and `make test`. Git, make and Python 3.11 or newer are all they need.
MODE := $(or $(MODE),demo)
HOST := $(or $(HOST),127.0.0.1)
PORT := $(or $(PORT),8000)
export MODE HOST PORT
# Where the demo town's telephones and push service are, while a story is played.
run story: export TOWN_PORT := $(or $(TOWN_PORT),$(shell expr $(PORT) + 1))
# VAR_DIR, DATABASE_URL, REDIS_URL and the rest of the environment pass through as they are.

PY := .venv/bin/python
PROOFS := $(addprefix tests/,prove consent doors exposure faults gateway http logs operate operations tools test_settings.py)
# Those that are skipped where DATABASE_URL is set (tests/support/served.py).
OWN_SERVERS := $(addprefix tests/,doors operations prove/prove_passkeys.py logs/test_served.py operate/test_watchdog_process.py tools/test_supply.py)
VENV = @python=$$(sh tools/find-python) && "$$python" tools/venv.py

.PHONY: help run test prove bench bench-alerts story lint format lock audit-deps sbom clean venv-run venv-dev

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

run: venv-run ## Serve the demo town (MODE, HOST, PORT, VAR_DIR, DATABASE_URL, REDIS_URL)
	@exec $(PY) manage.py serve

test: venv-dev ## Format, lint, types, imports, migrations; all tests on SQLite and on PostgreSQL with Redis
	@exec $(PY) -m tools.check

prove: venv-dev ## The long, seeded proofs: kills, races, soaks; ARGS go to pytest
	@$(PY) -m pytest -m prove $(OWN_SERVERS) -s -rs $(ARGS)
	@exec $(PY) -m tools.services run -- $(PY) -m pytest -m prove $(PROOFS) -s -rs $(ARGS)

bench: venv-dev ## Speed and memory; ARGS go to the benchmark
	@exec $(PY) -m bench $(ARGS)

bench-alerts: venv-dev ## Calls for help: how soon a phone has it, and what it costs; ARGS as for bench
	@exec $(PY) -m bench alerts $(ARGS)

story: venv-run ## Play Are's story and Trine's night against the server that runs at HOST and PORT
	@exec $(PY) manage.py story $(ARGS)

lint: venv-dev ## Everything of `make test` but the tests
	@exec $(PY) -m tools.check lint

format: venv-dev ## Put code into shape
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

lock: ## Resolve pyproject.toml into requirements/ (ARGS=--upgrade takes newer versions)
	$(VENV) lock $(ARGS)

audit-deps: venv-dev ## Ask the advisories' service about every locked version (network)
	@exec $(PY) -m tools.supply audit $(ARGS)

sbom: venv-dev ## What runs, as CycloneDX: var/sbom.cdx.json (ARGS: another file)
	@exec $(PY) -m tools.supply sbom $(ARGS)

clean: ## Remove what was installed or cached; var/ (data) stays
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .checks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv-run:
	$(VENV) run

venv-dev:
	$(VENV) dev
