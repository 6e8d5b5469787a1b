# Every target sets up what it needs: Python 3.11 or 3.12 is all that has to be there.

PYTHON ?= $(shell command -v python3.12 || command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv

.PHONY: help lab test bench lint clean

help:
	@echo "make lab     open the lab in a browser"
	@echo "make test    run the tests"
	@echo "make bench   measure speed against baselines"
	@echo "make lint    check style"

lab: $(VENV)/.lab
	$(BIN)/streamlit run app.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

clean:
	rm -rf $(VENV)

$(UV):
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 13)' 2>/dev/null || \
		{ echo "Python 3.11 or 3.12 is needed: install one, or say make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv

# tinysoundfont asks for pyaudio, which only playing live would use and which has no wheel.
$(VENV)/.lab: $(UV) requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python -r requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps 'tinysoundfont>=0.3.6,<0.4'
	@touch $@

$(VENV)/.dev: $(VENV)/.lab requirements-dev.txt
	$(UV) pip install --quiet --python $(BIN)/python -r requirements-dev.txt
	@touch $@
