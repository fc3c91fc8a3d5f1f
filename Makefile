# One-purpose targets; CI runs the same ones. Everything lives in .venv and build/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CONTRACT := $(shell find proto -name '*.proto')
NATIVE := $(shell find native setup.py \( -name '*.pyx' -o -name '*.pxd' -o -path '*/src/*.[ch]' -o -name setup.py \) -not -path '*/build/*')
BUILD_FILES := pyproject.toml setup.py clients/python/pyproject.toml clients/python/setup.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test serve liboqs ray lint types proto go-check proto-freeze bench bench-peers docs lock wheels fuzz clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/installed $(VENV)/locked-demo ## build, start a server, find the best portfolios, draw them, stop
	@MPLCONFIGDIR="$(CURDIR)/build/matplotlib" $(BIN)/ketgate demo

test: $(VENV)/installed-dev $(VENV)/locked-quantum ## every test; what is not there (PostgreSQL, Go: see .ci/tools) is skipped by name
	@.ci/liboqs || echo "The tests of liboqs will be skipped."
	@MPLCONFIGDIR="$(CURDIR)/build/matplotlib" $(BIN)/python -m pytest -n auto --dist loadgroup

serve: $(VENV)/installed ## a server on 127.0.0.1:7443 until Ctrl-C
	@$(BIN)/ketgate serve

liboqs: $(VENV)/installed ## liboqs in build/liboqs: faster post-quantum signatures, and Falcon
	@.ci/liboqs
	@$(PIP) install --require-hashes -r requirements-oqs.lock

ray: $(VENV)/installed-dev ## Ray, for jobs on a cluster; without it the tests of that are skipped
	@$(PIP) install --require-hashes -r requirements-ray.lock

lint: $(VENV)/installed-dev ## style of Python, Go and the contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python docs/generate.py --check

types: $(VENV)/installed-dev ## static types
	@$(BIN)/mypy

proto: $(VENV)/installed-dev build/googleapis ## generate the stubs; check style and compatibility of the contract
	@cd clients/python && ../../$(BIN)/python setup.py --quiet generate_stubs
	@$(BIN)/buf format --diff --exit-code proto
	@$(BIN)/buf lint proto
	@$(BIN)/buf breaking proto --against proto/released.binpb

go-check: $(VENV)/installed-dev ## the Go client's generated code is up to date
	@if command -v go >/dev/null; then clients/go/generate.sh --check; else echo "go is not installed: not checked"; fi

proto-freeze: $(VENV)/installed-dev build/googleapis ## declare the contract as it stands released: from then on it may only grow
	@$(BIN)/buf breaking proto --against proto/released.binpb
	@$(BIN)/buf build proto --exclude-source-info -o proto/released.binpb

bench: $(VENV)/installed-dev $(VENV)/locked-quantum ## measure beside the peers; writes docs/benchmarks
	@$(BIN)/python benchmarks/run.py

bench-peers: $(VENV)/installed-dev ## the peers that benchmarks measure beside us, into build/peers
	@$(PYTHON) -m venv build/peers
	@build/peers/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	@build/peers/bin/python -m pip install --quiet --require-hashes -r requirements-quantum.lock
	@build/peers/bin/python -m pip install --quiet --require-hashes -r requirements-oqs.lock
	@build/peers/bin/python -m pip install --quiet -r benchmarks/requirements-peers.txt
	@build/peers/bin/python -m pip install --quiet --no-deps --no-build-isolation -e clients/python -e .

docs: $(VENV)/installed-dev ## pages that are generated from code
	@$(BIN)/python docs/generate.py

fuzz: $(VENV)/installed-dev ## hostile requests, uploads, programs, keys and signatures, and random circuits, for two minutes
	@$(BIN)/python tests/fuzz/fuzz_requests.py --seconds 60
	@$(BIN)/python tests/fuzz/fuzz_edge.py
	@$(BIN)/python tests/fuzz/fuzz_artifacts.py
	@$(BIN)/python tests/fuzz/fuzz_openqasm.py
	@$(BIN)/python tests/fuzz/fuzz_formats.py
	@$(BIN)/python tests/fuzz/fuzz_wrapped.py --seconds 5
	@$(BIN)/python tests/fuzz/fuzz_native.py
	@$(BIN)/python tests/fuzz/fuzz_providers.py

wheels: $(VENV)/installed-dev ## both distributions, into dist/
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist clients/python
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist .

lock: $(VENV)/installed-dev ## pin every dependency anew; needs the network
	@$(BIN)/python -m pip install --quiet uv
	@sh .ci/lock

clean: ## everything that was built
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-output $(VENV) *.egg-info clients/python/*.egg-info
	find clients/python/ketgate -type d -path '*/v1' -prune -exec rm -rf {} +
	find native -name '*.so' -delete
	rm -f native/ketgate_native/*.c

# Dependencies by exact version and hash; then both distributions, editable, built with what the lock installed.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Ketgate needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "No virtual environment could be made. On Debian: apt-get install python3-venv python3-dev"; exit 1; }

$(VENV)/locked: requirements.lock | $(VENV)/bin/python
	@echo "Installing what Ketgate runs on ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

$(VENV)/installed: $(VENV)/locked $(CONTRACT) $(NATIVE) $(BUILD_FILES)
	@echo "Building Ketgate ..."
	@$(PIP) install --no-deps --no-build-isolation -e clients/python -e . >build.log 2>&1 || { cat build.log; exit 1; }
	@rm -f build.log
	@touch $@

$(VENV)/locked-dev: requirements-dev.lock $(VENV)/locked
	@echo "Installing what the tests need ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/locked-demo: requirements-demo.lock $(VENV)/locked
	@echo "Installing two quantum simulators to show ..."
	@$(PIP) install --require-hashes -r requirements-demo.lock
	@touch $@

$(VENV)/locked-quantum: requirements-quantum.lock $(VENV)/locked-dev
	@echo "Installing the quantum frameworks, about 1 GB ..."
	@$(PIP) install --require-hashes -r requirements-quantum.lock
	@touch $@

$(VENV)/installed-dev: $(VENV)/locked-dev $(VENV)/installed
	@touch $@

# The google/api and google/rpc protos for buf, from googleapis-common-protos: no registry of schemas is needed.
build/googleapis: $(VENV)/installed-dev
	@mkdir -p $@/google
	@cp -r $$($(BIN)/python -c 'import google.api as a, pathlib; print(pathlib.Path(list(a.__path__)[0]).parent)')/api $@/google/
	@cp -r $$($(BIN)/python -c 'import google.rpc as a, pathlib; print(pathlib.Path(list(a.__path__)[0]).parent)')/rpc $@/google/
	@find $@ -name '*.py*' -delete
	@touch $@
