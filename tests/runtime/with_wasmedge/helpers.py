"""Modules that several cases use, and what they ask of an instance."""

from __future__ import annotations

import pytest

from lawow.errors import (
    GuestTrap,
    LimitExceeded,
)
from lawow.runtime.base import CompiledModule, Instance
from lawow.runtime.wasmedge_library import LibraryEngine
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conftest import ROOT
from tests.runtime.builders import wat
from tests.runtime.test_grants import HOSTED

COUNTER = """
(module
  (memory (export "memory") 1) (global $count (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (global.set $count (i32.add (global.get $count) (local.get 0)))
    (i32.store8 (i32.const 100) (global.get $count))
    (global.get $count)))
"""

_compiled: dict[object, CompiledModule] = {}
"""Modules by engine and text, compiled once."""


def limit_of(error: pytest.ExceptionInfo[LimitExceeded]) -> str:
    return error.value.limit


def trap_of(instance: Instance, export: str, *arguments: int, seconds: float = 60) -> GuestTrap:
    with instance, pytest.raises(GuestTrap) as caught:
        instance.call(export, arguments, deadline_seconds=seconds)
    return caught.value


def arrays(engine: LibraryEngine | WasmtimeEngine) -> CompiledModule:
    """Return the module of strings and lists, compiled once for each engine."""
    if engine not in _compiled:
        _compiled[engine] = engine.compile((ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes())
    return _compiled[engine]


def hosted(engine: LibraryEngine) -> CompiledModule:
    if (engine, HOSTED) not in _compiled:
        _compiled[engine, HOSTED] = engine.compile(wat(HOSTED))
    return _compiled[engine, HOSTED]
