"""Code for the runtime inside an app, compiled here: for the interpreter of both ABIs, or for x86_64.

The stub library runs ``assets/lawow/NAME.wasm.pulley`` until native code is there (docs/android.md, "Before
the first call"). The settings below are those of the glue (``android_stub/jni/lawow_jni.c``, `new_config`):
code that was compiled with others is refused on the phone. The target is always named, since without one the
engine bakes in whatever this machine's processor can. Native arm64 code can be made on arm64 only.
"""

from __future__ import annotations

import hashlib
from ctypes import byref, c_void_p

from lawow.errors import UsageError
from lawow.formats.compiled import read_compiled, require_portable
from lawow.runtime import libwasmtime as lib
from lawow.runtime.failures import bad_module, require_done

__all__ = ["PULLEY", "TARGETS", "app_file", "compile_for_app"]

PULLEY = "pulley64"
TARGETS = (PULLEY, "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
_MAGIC = b"LAWOWCODE1"
_SETTINGS = (
    ("signals_based_traps", "b", 0),
    ("memory_reservation", "q", 0),
    ("memory_guard_size", "q", 0),
    ("memory_init_cow", "b", 0),
)


def compile_for_app(
    wasm: bytes, target: str = PULLEY, *, has_fuel: bool = False, has_deadlines: bool = False
) -> bytes:
    """Return the module as code for `target`, checked to run on every phone of its ABI.

    `has_fuel` and `has_deadlines`: whether the app limits fuel or time; the code differs. Raises `UsageError`
    for a target that this machine cannot compile for, `FormatError` for a module that is none.
    """
    if target not in TARGETS:
        raise UsageError(f"there is no target {target}; targets: {', '.join(TARGETS)}")
    _require_possible(target)
    functions = lib.library()
    config = lib.Handle(functions.wasm_config_new(), functions.wasm_config_delete)
    limits = (("consume_fuel", "b", has_fuel), ("epoch_interruption", "b", has_deadlines))
    for name, code, value in (*_SETTINGS, *limits):
        functions.configure(config.pointer, name, code, value)
    require_done(functions.wasmtime_config_target_set(config.pointer, target.encode()))
    engine = lib.Handle(
        functions.wasm_engine_new_with_config(config.give_away()), functions.wasm_engine_delete
    )
    try:
        compiled = _compile(engine.pointer, wasm)
    finally:
        engine.close()
    require_portable(read_compiled(compiled), lib.VERSION.partition(".")[0], f"code for {target}")
    return compiled


def _require_possible(target: str) -> None:
    """Refuse a foreign processor: the library would end this process."""
    import platform

    machine = platform.machine()
    if target not in (PULLEY, f"{machine}-unknown-linux-gnu"):
        raise UsageError(
            f"this machine ({machine}) cannot compile for {target}; use {PULLEY}, or such a machine"
        )


def _compile(engine: int, wasm: bytes) -> bytes:
    functions = lib.library()
    pointer = c_void_p()
    error = functions.wasmtime_module_new(engine, wasm, len(wasm), byref(pointer))
    if error:
        raise bad_module(lib.take_error(error)[0])
    module = lib.Handle(pointer.value or 0, functions.wasmtime_module_delete)

    def fill(vector: object) -> None:
        require_done(functions.wasmtime_module_serialize(module.pointer, vector))

    try:
        return lib.byte_string(fill)
    finally:
        module.close()


def app_file(wasm: bytes, compiled: bytes) -> bytes:
    """Return the file that the stub library reads: magic, SHA-256 of module and code, the code."""
    return _MAGIC + hashlib.sha256(wasm).digest() + hashlib.sha256(compiled).digest() + compiled
