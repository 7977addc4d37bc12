"""What the stub library runs of a module before native code is there: code for its interpreter, made here.

A module of anybody is scanned before it is compiled. The format of the file is told in
`lawow.runtime.device_code`, its use in docs/android.md ("Before the first call").
"""

from __future__ import annotations

from lawow.formats.wasm import inspect_module
from lawow.limits import MODULE
from lawow.runtime.device_code import app_file, compile_for_app

__all__ = ["interpreter_file"]


def interpreter_file(wasm: bytes, *, has_fuel: bool, has_deadlines: bool) -> bytes:
    """Return the file ``NAME.wasm.pulley`` for an app that limits fuel or time so; the same on every machine.

    Raises `FormatError` and `LimitExceeded` for what is no module, or one that is too much to compile.
    """
    inspect_module(wasm, limits=MODULE)
    return app_file(wasm, compile_for_app(wasm, has_fuel=has_fuel, has_deadlines=has_deadlines))
