"""Modules for the edge's tests, made from text by the engine's own assembler, and bombs made by hand."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

from lawow.formats.bundle import BoundMethod, Origin, build_bundle
from lawow.formats.bytes import encode_uleb128
from lawow.runtime.libwasmtime import wat_to_wasm

__all__ = [
    "Module",
    "all_sorts",
    "bundle_of",
    "compile_bomb",
    "locals_bomb",
    "many_exports",
    "module_of",
    "named",
    "numbered",
]


ONE_TYPE = b"\x01\x60\0\0"  # section 1: one function type without parameters and results


@dataclass(frozen=True, slots=True)
class Module:
    """Bytes of a module and their SHA-256."""

    wasm: bytes
    digest: str


def module_of(text: str) -> Module:
    """Assemble a module."""
    return named(wat_to_wasm(text.encode()))


def named(wasm: bytes) -> Module:
    return Module(wasm, hashlib.sha256(wasm).hexdigest())


ALL_SORTS = """
(module
  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))
  (table 1 funcref)
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "echo_i32") (param i32) (result i32) (local.get 0))
  (func (export "echo_i64") (param i64) (result i64) (local.get 0))
  (func (export "echo_f32") (param f32) (result f32) (local.get 0))
  (func (export "echo_f64") (param f64) (result f64) (local.get 0))
  (func (export "mixed") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    (local.get 3) (local.get 2) (local.get 1) (local.get 0))
  (func (export "nothing"))
  (func (export "count") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (i32.add (i32.mul (global.get $calls) (i32.const 1000)) (i32.load (i32.const 0))))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "unreachable") unreachable)
  (func (export "outside") (result i32) (i32.load (i32.const -4)))
  (func (export "null_call") (call_indirect (i32.const 0)))
  (func $recurse (export "recurse") (call $recurse))
  (func (export "loop") (loop (br 0)))
  (func (export "grow") (result i32)
    (loop (br_if 0 (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
    (memory.fill (i32.const 0) (i32.const 1) (i32.mul (memory.size) (i32.const 65536)))
    (memory.size))
  (func (export "odd/name with %2F") (result i32) (i32.const 7)))
"""


@functools.cache
def all_sorts() -> Module:
    """A module with a function for each behaviour that the edge must cope with."""
    return module_of(ALL_SORTS)


def numbered(number: int) -> Module:
    """A small module that differs from all others with another number."""
    return module_of(f'(module (func (export "number") (result i32) (i32.const {number})))')


def compile_bomb(functions: int = 40, branches: int = 3000) -> Module:
    """A module that is small, valid and within every static limit, and takes long to compile."""
    names = " ".join("(br_if 0 (local.get 0))" for _ in range(branches))
    body = f"(func (param i32) (block {names}))"
    return module_of(f'(module {body * functions} (func (export "f")))')


def locals_bomb(functions: int = 2000, count: int = 50_000) -> Module:
    """21 KiB that declare a hundred million locals, which no scan may let through to a compiler."""
    group = encode_uleb128(1) + encode_uleb128(count) + b"\x7f"
    body = group + b"\x0b"
    code = encode_uleb128(functions) + (encode_uleb128(len(body)) + body) * functions
    return named(_assemble({1: ONE_TYPE, 3: encode_uleb128(functions) + bytes(functions), 10: code}))


def many_exports(count: int, name_bytes: int) -> bytes:
    """A module that exports one function under many long names."""
    names = [b"%0*d" % (name_bytes, number) for number in range(count)]
    entries = b"".join(encode_uleb128(len(name)) + name + b"\0\0" for name in names)
    return _assemble({1: ONE_TYPE, 3: b"\x01\0", 7: encode_uleb128(count) + entries, 10: b"\x01\x02\0\x0b"})


def _assemble(sections: dict[int, bytes]) -> bytes:
    wasm = b"\0asm\x01\0\0\0"
    for number, content in sections.items():
        wasm += bytes([number]) + encode_uleb128(len(content)) + content
    return wasm


def bundle_of(modules: dict[str, Module], methods: list[tuple[str, str, str, str]] | None = None) -> bytes:
    """An offload bundle; `methods` are (method, file, export, signature) of class ``com.example.Compute``."""
    bound = [
        BoundMethod("com.example.Compute", method, "(I)I", file, export, signature)
        for method, file, export, signature in methods or []
    ]
    wasms = {file: module.wasm for file, module in modules.items()}
    return build_bundle(wasms, bound, Origin("com.example", "0" * 64))
