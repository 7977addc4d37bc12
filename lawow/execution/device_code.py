"""What the stub library interprets of a module: code for wasmtime's interpreter, or what WasmEdge's may run.

A module of anybody is scanned before it is compiled. The format of the file is told in
`lawow.runtime.device_code`, its use in docs/android.md ("Before the first call", "WasmEdge").
"""

from __future__ import annotations

from lawow.formats.wasm import inspect_module
from lawow.limits import MODULE
from lawow.runtime.device_code import app_file, compile_for_app
from lawow.runtime.wasmedge_device import prepare_for_app

__all__ = ["interpreter_file", "prepared_file"]


def interpreter_file(wasm: bytes, *, has_fuel: bool, has_deadlines: bool) -> bytes:
    """Return the file ``NAME.wasm.pulley`` for an app that limits fuel or time so; the same on every machine.

    Raises `FormatError` and `LimitExceeded` for what is no module, or one that is too much to compile.
    """
    inspect_module(wasm, limits=MODULE)
    return app_file(wasm, compile_for_app(wasm, has_fuel=has_fuel, has_deadlines=has_deadlines))


def prepared_file(wasm: bytes) -> bytes:
    """Return the file of that name for an app with WasmEdge, whatever it limits.

    Raises as `lawow.runtime.wasmedge_device.prepare_for_app` does.
    """
    return app_file(wasm, prepare_for_app(wasm))
