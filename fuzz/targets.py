"""The parsers under fire: what each is fed with at first, and what is done with a file.

The invariant is the same for all: a value, `FormatError` or `LimitExceeded`, and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fuzz.wasm_targets import (
    components,
    inspect,
    layouts,
    modules,
    open_components,
    open_layout,
    read_signature,
    read_value,
    read_wit,
    signatures,
    values,
    worlds,
)
from lawow.errors import FormatError, LimitExceeded
from lawow.formats.axml import read_manifest
from lawow.formats.bundle import Origin, build_bundle, read_bundle
from lawow.formats.dex import (
    Assembly,
    ClassSource,
    DexBuilder,
    MethodSource,
    collect_garbage,
    drop_classes,
    read_dex,
    verify_dex,
)
from lawow.formats.dex.header import seal
from lawow.formats.dex.mutf8 import decode_mutf8, encode_mutf8
from lawow.formats.dex.spec import HEADER_BYTES
from lawow.formats.mapping import read_mapping
from lawow.formats.onnx import require_self_contained_model
from lawow.formats.signing import debug_key, sign_apk, verify_apk
from lawow.formats.zip import make_entry, read_zip, write_zip

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """A parser: `seeds` returns sound inputs, `feed` raises nothing whatever it is given."""

    seeds: Callable[[], list[bytes]]
    feed: Callable[[bytes], None]


def _guarded(step: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def feed(data: bytes) -> None:
        with suppress(FormatError, LimitExceeded):
            step(data)

    return feed


def _read_all(data: bytes) -> None:
    for entry in read_zip(data).entries:
        with suppress(FormatError, LimitExceeded):
            entry.read(1 << 20)


def _edit_manifest(data: bytes) -> None:
    manifest = read_manifest(data)
    manifest.add_permission("android.permission.INTERNET")
    read_manifest(manifest.to_bytes())


def _use_dex(data: bytes) -> None:
    """Do what a split does. Checksum and size are put right first: they would hide everything else."""
    if len(data) >= HEADER_BYTES:
        out = bytearray(data)
        struct.pack_into("<I", out, 0x20, len(out))
        seal(out)
        data = bytes(out)
    verify_dex(data)  # never raises
    dex = read_dex(data)
    for step in (_look, _drop_first, collect_garbage):
        with suppress(FormatError):
            step(dex.data)


def _look(data: bytes) -> None:
    for view in read_dex(data).classes:
        _ = view.fields, view.annotations, view.static_values
        for method in view.methods:
            _ = method.annotations, method.tries
            view.dex.references_of(method)


def _drop_first(data: bytes) -> None:
    dex = read_dex(data)
    drop_classes(dex, dex.class_names()[:1], keep_orphan_ids=False)


def _decode_text(data: bytes) -> None:
    text = decode_mutf8(data)
    if decode_mutf8(encode_mutf8(text)) != text:
        raise AssertionError(f"MUTF-8 does not come back: {text!r}")


def _dex_seed() -> list[bytes]:
    builder = DexBuilder("039")
    body = Assembly(2, [("const-string", 0, "text"), ("return-void",)])
    method = MethodSource("run", "()V", 0x9, body)
    builder.add(ClassSource("Lcom/example/A;", methods=(method,)))
    builder.add(ClassSource("Lcom/example/B;", superclass="Lcom/example/A;", interfaces=("Lcom/example/I;",)))
    return [builder.build()]


def _archive() -> list[bytes]:
    entries = [make_entry("a.txt", b"text" * 100), make_entry("b/c.bin", bytes(50), compress=False)]
    return [write_zip(entries, align=True)]


def _apk() -> list[bytes]:
    entries = [make_entry("classes.dex", _dex_seed()[0])]
    return [sign_apk(entries, debug_key(), min_sdk=21)]


def _bundle() -> list[bytes]:
    module = b"\0asm\1\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x04\x01\x02\0\x0b"
    return [build_bundle({"f.wasm": module}, (), Origin("com.example", "0" * 64))]


def _manifest() -> list[bytes]:
    """Return one element with an attribute, as aapt writes it."""
    texts = ("manifest", "package", "com.example")
    data = b"".join(struct.pack("<H", len(text)) + text.encode("utf-16-le") + b"\0\0" for text in texts)
    data += bytes(-len(data) % 4)
    offsets, place = [], 0
    for text in texts:
        offsets.append(place)
        place += 4 + 2 * len(text)
    pool_bytes = 28 + 4 * len(texts)
    pool = struct.pack("<HHIIIIII", 1, 28, pool_bytes + len(data), len(texts), 0, 0, pool_bytes, 0)
    pool += struct.pack(f"<{len(texts)}I", *offsets) + data
    none = 0xFFFFFFFF
    start = struct.pack("<HHIIIIIHHHHHH", 0x102, 16, 56, 1, none, none, 0, 20, 20, 1, 0, 0, 0)
    start += struct.pack("<IIIHBBI", none, 1, 2, 8, 0, 3, 2)
    end = struct.pack("<HHIIIII", 0x103, 16, 24, 1, none, none, 0)
    body = pool + start + end
    return [struct.pack("<HHI", 3, 8, 8 + len(body)) + body]


def _mapping() -> list[bytes]:
    return [b"# compiler: R8\ncom.example.Fib -> a.b:\n    int calls -> a\n    1:3:int fib(int):7:9 -> c\n"]


def _model() -> list[bytes]:
    return [(Path(__file__).resolve().parent.parent / "fixtures" / "nn" / "edges.onnx").read_bytes()]


def _check_model(data: bytes) -> None:
    require_self_contained_model(data, 1000)


def _texts() -> list[bytes]:
    return [encode_mutf8(text) for text in ("", "text", "\0", "\u20ac\U0001f600", "\ud800")]


TARGETS = {
    "zip": Target(_archive, _guarded(_read_all)),
    "axml": Target(_manifest, _guarded(_edit_manifest)),
    "dex": Target(_dex_seed, _guarded(_use_dex)),
    "mutf8": Target(_texts, _guarded(_decode_text)),
    "signing": Target(_apk, _guarded(verify_apk)),
    "bundle": Target(_bundle, _guarded(read_bundle)),
    "mapping": Target(_mapping, _guarded(read_mapping)),
    "onnx": Target(_model, _guarded(_check_model)),
    "wasm": Target(modules, _guarded(inspect)),
    "component": Target(components, _guarded(open_components)),
    "wit": Target(worlds, _guarded(read_wit)),
    "wave": Target(values, _guarded(read_value)),
    "signature": Target(signatures, _guarded(read_signature)),
    "oci": Target(layouts, _guarded(open_layout)),
}
