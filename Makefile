# The commands of the README. Each sets up what it needs: see .ci/setup.

PY := .venv/bin/python

.PHONY: conformance fuzz demo test test-apk test-faults test-load test-nightly check bench fixtures stub setup setup-demo clean

setup-demo:
	@.ci/setup demo

setup:
	@.ci/setup test

demo: setup-demo            ## pack -> APK -> refactor -> edge -> the programs of Table I, in four places
	@$(PY) fixtures/demo.py

test: setup                 ## all tests
	$(PY) -m pytest -q

test-apk: setup             ## random classes of real apps, before every judge; SEEDS=5 on all apps
	LAWOW_APK_SEEDS=$(or $(SEEDS),1) $(PY) -m pytest -q -rA tests/apk

test-nightly: setup         ## the local runtime on an arm64 JVM under qemu, 2,000 scenarios of the decision
	.ci/arm64-jvm
	$(PY) -m pytest -q -m nightly

SUITES ?= fixtures
ENGINE ?= wasmtime

TIME ?= 60

fuzz: setup                 ## every parser under damaged files for TIME seconds each; guided with pip install atheris
	$(PY) -m fuzz --seconds $(TIME)

conformance: setup          ## tests of WebAssembly and of WASI preview 1 below SUITES: passed, failed, unsupported
	$(PY) -m tests.conformance.suite $(SUITES) --engine $(ENGINE)

test-faults: setup          ## kills, disk errors, power cuts, cut connections, in full; KILLS=200
	LAWOW_KILLS=$(or $(KILLS),200) LAWOW_FAULTS=all LAWOW_LOAD=full $(PY) -m pytest -q -rA \
	  tests/faults tests/edge/test_control_plane.py tests/server/test_faults.py

test-load: setup            ## bad neighbours, overload, endurance; the API under all that its description allows
	LAWOW_LOAD=full LAWOW_API_EXAMPLES=$(or $(EXAMPLES),100) $(PY) -m pytest -q -rA \
	  tests/load tests/server/test_api_fuzz.py

check: setup                ## style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: setup                ## ratios against named peers, in interleaved pairs
	$(PY) -m bench

fixtures: setup             ## build the WebAssembly modules and the demo's APK
	$(PY) fixtures/build.py wasm
	$(PY) fixtures/build.py apk

stub: setup                 ## build the Android glue libraries and the stub library
	$(PY) android_stub/build.py

clean:
	rm -rf build .cache .pytest_cache .mypy_cache .ruff_cache
