"""The engines of the cases, which run where WasmEdge's library can be loaded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmedge_library import LibraryEngine
from lawow.runtime.wasmtime_engine import WasmtimeEngine


@pytest.fixture(scope="module", params=["compiled", "interpreter"])
def engine(request: pytest.FixtureRequest) -> Iterator[LibraryEngine]:
    made = LibraryEngine(is_compiled=request.param == "compiled")
    yield made
    made.close()


@pytest.fixture(scope="module")
def wasmtime() -> Iterator[WasmtimeEngine]:
    made = WasmtimeEngine(EXEC_PROFILE)
    yield made
    made.close()
