# `make run` sets everything up and plays; `make test` runs all checks. `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
SOUND_PACKAGES := libportaudio2 libasound2-plugins
TEST_PACKAGES := pulseaudio pulseaudio-utils espeak-ng

# The first interpreter that is new enough, and not too new.
IS_SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,\
            $(shell $(name) -c '$(IS_SUPPORTED)' 2>/dev/null && echo $(name))))

# For `make run` and `make bench`, such as ARGS="--duration 20 --no-ui".
ARGS ?=

.PHONY: help run test check bench wheel clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

run: $(VENV)/.run  ## install what is missing and start: make run ARGS="--duration 20 --no-ui"
	@$(BIN)/soundsage up $(ARGS)

test: check  ## all checks: style, types, tests
	@$(BIN)/python -m pytest --quiet

check: $(VENV)/.test  ## style and types alone
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary

bench: $(VENV)/.run  ## measure the mesh: latency, load, losses
	@$(BIN)/soundsage bench $(ARGS)

wheel: $(VENV)/.test  ## build dist/*.whl
	@$(PIP) wheel --no-deps --wheel-dir dist .

clean:  ## remove all that was built and installed here
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once for each state of pyproject.toml; the stamps make the second start immediate.
$(VENV)/.run: pyproject.toml | $(BIN)/pip
	@.ci/packages $(SOUND_PACKAGES)
	@echo "make: installing SoundSage into $(VENV)" >&2
	@$(PIP) install --editable .
	@touch $@

# The tests train small networks, for which the CPU suffices. PyPI's torch for Linux brings gigabytes for graphics cards, so
# the build without them is asked for by its full name: from where pip looks anyway, then from its makers' index. Other
# systems have only one build.
TORCH := torch==2.13.0
$(VENV)/.test: $(VENV)/.run
	@.ci/packages $(TEST_PACKAGES)
	@echo "make: installing what the checks need" >&2
	@$(PIP) install '$(TORCH)+cpu' 2>/dev/null \
		|| $(PIP) install --extra-index-url https://download.pytorch.org/whl/cpu '$(TORCH)+cpu' 2>/dev/null \
		|| $(PIP) install '$(TORCH)'
	@$(PIP) install --editable '.[dev,training]'
	@touch $@

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11, 3.12 or 3.13; name it with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/packages $(notdir $(PYTHON))-venv
	@$(PYTHON) -m venv $(VENV) >/dev/null || { rm -rf $(VENV); \
		echo "make: $(PYTHON) cannot make environments; install $(notdir $(PYTHON))-venv" >&2; exit 1; }
