"""Modules for the tests, built from text or from bytes; and the engine's own package as a second opinion."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import wasmtime

from lawow.formats.bytes import encode_uleb128

JUDGE = wasmtime.Engine()

FIBONACCI = """
(module
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2))))))))
"""

SPIN = '(module (func (export "spin") (loop (br 0))) (func (export "one") (result i32) (i32.const 1)))'

I32, I64, F32, F64 = b"\x7f", b"\x7e", b"\x7d", b"\x7c"


@cache
def wat(text: str) -> bytes:
    """Return the binary form of WebAssembly text."""
    return bytes(wasmtime.wat2wasm(text))


def section(id_: int, content: bytes) -> bytes:
    """Return a section with its size."""
    return bytes((id_,)) + encode_uleb128(len(content)) + content


def vector(items: Sequence[bytes]) -> bytes:
    """Return a vector: count, then items."""
    return encode_uleb128(len(items)) + b"".join(items)


def name(text: str) -> bytes:
    """Return a name: length, then UTF-8."""
    return encode_uleb128(len(text.encode())) + text.encode()


def module(*sections: bytes) -> bytes:
    """Return a module of these sections."""
    return b"\0asm\1\0\0\0" + b"".join(sections)


def body(code: bytes, declared: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """Return a function body of `code` (without its end) with (count, type) local declarations."""
    content = vector([encode_uleb128(count) + kind for count, kind in declared]) + code + b"\x0b"
    return encode_uleb128(len(content)) + content


def functions_module(bodies: Sequence[bytes]) -> bytes:
    """Return a module of functions without parameters and results; the first one is exported as ``f``."""
    return module(
        section(1, vector([b"\x60\0\0"])),
        section(3, vector([b"\0"] * len(bodies))),
        section(7, vector([name("f") + b"\0\0"])),
        section(10, vector(bodies)),
    )


def many_locals(functions: int, locals_each: int) -> bytes:
    """Return a compile bomb: a few kilobytes that declare `functions` times `locals_each` locals."""
    return functions_module([body(b"", [(locals_each, I32)])] * functions)


def live_locals(count: int, statements: int) -> bytes:
    """Return a compile bomb: one loop in which `count` locals are alive through all `statements`."""
    code = bytearray(b"\x03\x40")
    for step in range(statements):
        target, source = encode_uleb128(step * 7 % count), encode_uleb128((step * 13 + 5) % count)
        code += b"\x20" + target + b"\x20" + source + b"\x6a\x21" + target
    code += b"\x20\0\x0d\0\x0b"
    return functions_module([body(bytes(code), [(count, I32)])])


def empty_functions(count: int) -> bytes:
    """Return a module of `count` empty functions."""
    return functions_module([body(b"")] * count)


def judge_call(wasm: bytes, export: str, *arguments: int | float) -> tuple[int | float, ...]:
    """Return what the engine's own Python package answers to the same call."""
    store = wasmtime.Store(JUDGE)
    exports = wasmtime.Linker(JUDGE).instantiate(store, wasmtime.Module(JUDGE, wasm)).exports(store)
    if "_initialize" in exports:
        exports["_initialize"](store)
    answer = exports[export](store, *arguments)
    return () if answer is None else tuple(answer) if isinstance(answer, list) else (answer,)


def judge_accepts(wasm: bytes) -> bool:
    """Return whether the engine's own Python package finds the module valid."""
    try:
        wasmtime.Module.validate(JUDGE, wasm)
    except wasmtime.WasmtimeError:
        return False
    return True
