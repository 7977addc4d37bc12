"""What the parsers on the side of WebAssembly do grows no faster than what they read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial

import pytest

from lawow.formats.component import COMPONENT_HEADER, core_modules
from lawow.formats.oci import find_wasm_layer
from lawow.formats.signature import parse_typed_signature
from lawow.formats.wasm import function_names, inspect_module
from lawow.formats.wave import parse_wave, print_wave
from lawow.formats.wit import Field, ListOf, Option, Primitive, Record, parse_wit, print_wit
from tests.runtime.builders import body, empty_functions, functions_module, module, name, section, vector
from tests.work import MOST_GROWTH, calls_in

POINTS = ListOf(Record((Field("x", Primitive("s32")), Field("name", Option(Primitive("string")))), "point"))


def named_functions(count: int) -> bytes:
    """Return a module with a name for every function."""
    entries = [bytes((index & 0x7F | 0x80, index >> 7)) + name(f"f{index}") for index in range(count)]
    return empty_functions(count) + section(0, name("name") + section(1, vector(entries)))


def exports(count: int) -> bytes:
    """Return a module that exports one function under many names."""
    parts = (section(1, vector([b"\x60\0\0"])), section(3, vector([b"\0"])))
    names = [name(f"export-{index}") + b"\0\0" for index in range(count)]
    return module(*parts, section(7, vector(names)), section(10, vector([body(b"")])))


def imports(count: int) -> bytes:
    """Return a module that imports many functions."""
    items = [name("env") + name(f"f{index}") + b"\0\0" for index in range(count)]
    return module(section(1, vector([b"\x60\0\0"])), section(2, vector(items)))


def locals_in_one_body(count: int) -> bytes:
    """Return a module whose function declares its locals one by one."""
    return functions_module([body(b"", [(1, b"\x7f")] * count)])


def world(count: int) -> str:
    """Return a document with many types, functions and comments."""
    types = " ".join(f"record r{index} {{ a: u8, b: list<string> }} // comment\n" for index in range(count))
    return f"world w {{ {types} {' '.join(f'export f{i}: func(a: r{i});' for i in range(count))} }}"


def points(count: int) -> str:
    """Return a list of records in text."""
    return "[" + ", ".join(f'{{x: {index}, name: some("n\\u{{41}}{index}")}}' for index in range(count)) + "]"


def layout(count: int) -> dict[str, bytes]:
    """Return the files of an image layout with many layers, the last one of them WebAssembly."""
    wasm = b"\0asm\1\0\0\0"
    other = {"mediaType": "text/plain", "digest": "sha256:" + "0" * 64, "size": 0}
    digest = hashlib.sha256(wasm).hexdigest()
    layer = {"mediaType": "application/wasm", "digest": f"sha256:{digest}", "size": len(wasm)}
    manifest = json.dumps({"layers": [other] * count + [layer]}).encode()
    top = hashlib.sha256(manifest).hexdigest()
    index = {"manifests": [{"digest": f"sha256:{top}", "size": len(manifest)}]}
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode()}
    return {**files, f"blobs/sha256/{top}": manifest, f"blobs/sha256/{digest}": wasm}


def read_names(wasm: bytes) -> None:
    function_names(wasm, inspect_module(wasm))


def print_again(text: str) -> None:
    print_wit(parse_wit(text))


def print_values(text: str) -> None:
    print_wave(parse_wave(text, POINTS), POINTS)


def find_layer(files: dict[str, bytes]) -> None:
    find_wasm_layer(files.__getitem__, "layout")


STEPS: dict[str, tuple[Callable[[int], object], Callable[..., object]]] = {
    "functions": (empty_functions, inspect_module),
    "names": (named_functions, read_names),
    "exports": (exports, inspect_module),
    "imports": (imports, inspect_module),
    "locals": (locals_in_one_body, inspect_module),
    "custom sections": (lambda count: module(*[section(0, name("x"))] * count), inspect_module),
    "core modules": (
        lambda count: COMPONENT_HEADER + section(1, module()) * (count // 8) + section(0, b"") * count,
        core_modules,
    ),
    "WIT": (lambda count: world(count // 4), print_again),
    "WAVE": (points, print_values),
    "signature": (lambda count: "i" * (count // 2) + ">", parse_typed_signature),
    "image layout": (layout, find_layer),
}


@pytest.mark.parametrize("kind", STEPS)
def test_work_grows_as_the_input_does(kind: str) -> None:
    """Over three doublings, counted in calls."""
    make, step = STEPS[kind]
    counts = [calls_in(partial(step, make(size))) for size in (200, 1_600)]
    assert counts[1] < counts[0] * 8**MOST_GROWTH
