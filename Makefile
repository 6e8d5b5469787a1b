# Every target sets up what it needs: Python 3.11 or 3.12 is all that has to be there.

# The first Python that runs, fits and can make environments; a name on PATH may be an empty shim.
FITS := import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	$$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# One more than the cores: browser tests wait for longer than they compute.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')
# Every process starts in half the time, also where Python is not to write bytecode (in containers).
export UV_COMPILE_BYTECODE := 1

.PHONY: help lab space test bench gpu lint clean

help:
	@echo "make lab     open the lab in a browser"
	@echo "make space   open the demo for visitors, as a Hugging Face Space runs it"
	@echo "make test    run the tests"
	@echo "make bench   measure speed against baselines"
	@echo "make gpu     prove training and inference on this machine's GPU"
	@echo "make lint    check style, types and who imports whom"

lab: $(VENV)/.lab
	$(BIN)/streamlit run app.py

space: $(VENV)/.lab
	$(BIN)/python lab/demo/app.py $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks $(ARGS)

gpu: $(VENV)/.dev
	$(BIN)/python -m tests.gpu $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV)

$(UV):
	@$(or $(PYTHON),false) -c '$(FITS)' || { echo "Python 3.11 or 3.12 with its venv module is" \
		"needed: install one, or say make PYTHON=/path/to/python3.12"; exit 1; }
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
