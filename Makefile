# The front door. Needs Python 3.11 or newer and pip; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
UV := $(VENV)/bin/uv
RUN_STAMP := $(VENV)/.run.stamp
DEV_STAMP := $(VENV)/.dev.stamp
PEER_VENV := .venv-peer
PEER_STAMP := $(PEER_VENV)/.stamp
WORDS_VENV := .venv-words
WORDS_STAMP := $(WORDS_VENV)/.stamp
LPIPS_VENV := .venv-lpips
LPIPS_STAMP := $(LPIPS_VENV)/.stamp
# Processes that share the tests; 0 is this one alone.
WORKERS ?= 2

.DELETE_ON_ERROR:
.PHONY: help install run test lint screenshots bench bench-moderation soak train eval-demo lock clean

help:
	@echo 'make run    install what is needed, then run the bot and its page'
	@echo 'make install  only install it: for a service'
	@echo 'make test   run all tests'
	@echo 'make lint   check form, types and architecture'
	@echo 'make screenshots  take the pictures of the README anew (needs chromium)'
	@echo 'make bench  measure how fast pictures are drawn and requests accepted here'
	@echo 'make bench-moderation  count false alarms and misses, beside two other packages'
	@echo 'make soak   kill bots at 700 random moments, load Discord, live 20,000 histories on X'
	@echo 'make train  train the demo model anew (an hour or two on two cores)'
	@echo 'make eval-demo  measure how well the demo model draws what it was told'
	@echo 'make lock   pin the newest allowed packages in requirements*.lock'
	@echo 'make clean  remove .venv and caches; data/ stays'

# Compiled ahead, because a service may not write here.
install: $(RUN_STAMP)
	$(VENV)/bin/python -m compileall -q -q -j 0 $(VENV)/lib bot engine migrations || true

run: $(RUN_STAMP)
	$(VENV)/bin/imagine run

test: $(DEV_STAMP)
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

lint: $(DEV_STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright
	$(VENV)/bin/lint-imports

screenshots: $(DEV_STAMP)
	$(PIP) install --quiet -r tests/screenshots/requirements.txt
	$(VENV)/bin/python -m tests.screenshots.examples
	$(VENV)/bin/python -m tests.screenshots.page
	$(VENV)/bin/python -m tests.screenshots.discord

bench: $(DEV_STAMP) $(PEER_STAMP)
	$(VENV)/bin/python -m tests.bench --peer $(PEER_VENV)/bin/python
	$(VENV)/bin/python -m tests.bench.store

bench-moderation: $(DEV_STAMP) $(WORDS_STAMP)
	$(VENV)/bin/python -m tests.bench.moderation --peers $(WORDS_VENV)/bin/python

soak: $(DEV_STAMP)
	KILL_ROUNDS=500 $(VENV)/bin/python -m pytest -s tests/contract/test_kills.py
	DISCORD_KILL_ROUNDS=200 $(VENV)/bin/python -m pytest -s tests/contract/test_discord_kills.py
	LOAD_S=60 $(VENV)/bin/python -m pytest -s tests/contract/test_discord_load.py
	HISTORIES=20000 $(VENV)/bin/python -m pytest tests/unit/bot/x/test_histories.py

train: $(DEV_STAMP)
	$(VENV)/bin/python -m engine.training

eval-demo: $(DEV_STAMP) $(LPIPS_STAMP)
	$(VENV)/bin/python -m engine.training.evaluate --sheet docs/demo.png \
		--reconstructions $(LPIPS_VENV)/reconstructions.npz
	$(LPIPS_VENV)/bin/python -m tests.bench.perceptual $(LPIPS_VENV)/reconstructions.npz

# uv keeps the pins for all systems in one file. setuptools is added because the project itself
# is built with it, from the same pinned files. No address may get into the pins.
LOCK_UV = $(UV) pip compile --quiet --universal --python-version 3.11 --upgrade \
	--fork-strategy fewest --generate-hashes --no-header --no-emit-index-url \
	--no-emit-find-links -
LOCK = $(LOCK_UV) pyproject.toml
lock: $(DEV_STAMP)
	echo 'setuptools>=80' | $(LOCK) -o requirements.lock
	printf 'setuptools>=80\nuv>=0.9\n' | $(LOCK) --extra dev -o requirements-dev.lock
	echo 'uv>=0.9' | $(LOCK_UV) -o requirements-uv.lock
	! grep -n '://' requirements.lock requirements-dev.lock requirements-uv.lock

clean:
	rm -rf $(VENV) $(PEER_VENV) $(WORDS_VENV) $(LPIPS_VENV) build *.egg-info .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

# uv installs in seconds what takes pip a minute, from the same pins. But it does not read pip's
# configuration: where only that knows the way to the packages, pip installs them.
$(UV): requirements-uv.lock | $(VENV)/bin/python
	-$(PIP) install --quiet --require-hashes -r requirements-uv.lock && touch $@

INSTALL_PINNED = $(UV) pip install --quiet --python $(VENV)/bin/python --require-hashes -r $< || \
	$(PIP) install --quiet --no-compile --require-hashes -r $<

$(RUN_STAMP): requirements.lock pyproject.toml | $(UV)
	$(INSTALL_PINNED)
	$(PIP) install --quiet --no-compile --no-deps --no-build-isolation -e .
	touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	$(INSTALL_PINNED)
	touch $@

$(PEER_STAMP): tests/bench/peer-requirements.txt
	$(PYTHON) -m venv $(PEER_VENV)
	$(PEER_VENV)/bin/python -m pip install --quiet -r $<
	$(PEER_VENV)/bin/python -m pip install --quiet --no-deps min-dalle==0.4.11
	touch $@

$(WORDS_STAMP): tests/bench/words-requirements.txt
	$(PYTHON) -m venv $(WORDS_VENV)
	$(WORDS_VENV)/bin/python -m pip install --quiet -r $<
	touch $@

$(LPIPS_STAMP): tests/bench/perceptual-requirements.txt
	$(PYTHON) -m venv $(LPIPS_VENV)
	$(LPIPS_VENV)/bin/python -m pip install --quiet --no-deps -r $<
	touch $@
