"""The parsers under fire: what each is fed with at first, and what is done with a file.

The invariant is the same for all files: a value, `FormatError` or `LimitExceeded`, and nothing else. That of
the data plane's ends is in `fuzz.channel_targets`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from fuzz import channel_targets, seeds
from fuzz.dalvik_targets import codes, translate_all
from fuzz.seeds import PART
from fuzz.wasm_targets import (
    components,
    inspect,
    layouts,
    modules,
    open_components,
    open_layout,
    read_signature,
    read_state,
    read_value,
    read_wit,
    signatures,
    states,
    values,
    worlds,
)
from lawow.doctor import examine
from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.apk_set import read_input
from lawow.formats.axml import Manifest, read_manifest
from lawow.formats.bundle import read_bundle
from lawow.formats.dex import collect_garbage, drop_classes, read_dex, verify_dex
from lawow.formats.dex.header import seal
from lawow.formats.dex.mutf8 import decode_mutf8, encode_mutf8
from lawow.formats.dex.spec import HEADER_BYTES
from lawow.formats.elf import ElfFile, read_elf, repack_elf, verify_android_library
from lawow.formats.mapping import read_mapping
from lawow.formats.method_trace import read_method_trace
from lawow.formats.onnx import require_self_contained_model
from lawow.formats.signing import verify_apk
from lawow.formats.zip import make_entry, read_zip, revise_zip, write_zip
from lawow.refactor.traced_times import traced_times

__all__ = ["TARGETS", "Target"]

INTERNET = "android.permission.INTERNET"
PARTS = (
    "AndroidManifest.xml",
    "classes.dex",
    "lib/arm64-v8a/libwasmtime.so",
    "assets/lawow/edge.properties",
    "assets/lawow/f.wasm",
)


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
    """Ask everything, edit, and read the result: an edit that spoils the document is a find, too."""
    manifest = read_manifest(data)
    for ask in (_package, _sdks, _permissions):
        with suppress(FormatError):
            ask(manifest)
    manifest.add_permission(INTERNET)
    manifest.set_application_attribute("debuggable", True)
    again = read_manifest(manifest.to_bytes())
    if INTERNET not in again.permissions or again.application_attribute("debuggable") is not True:
        raise AssertionError("the edit does not come back")


def _package(manifest: Manifest) -> object:
    return manifest.package, manifest.split


def _sdks(manifest: Manifest) -> object:
    return manifest.min_sdk, manifest.target_sdk


def _permissions(manifest: Manifest) -> object:
    return manifest.permissions, manifest.application_attribute("name")


def _sign_anew(data: bytes) -> None:
    """Judge it, as Androids with and without v1 do, and lay out what it holds."""
    for min_sdk in (21, 24):
        verify_apk(data, min_sdk=min_sdk)
    archive = read_zip(data)
    revise_zip(data, archive, archive.entries[1:])
    read_zip(write_zip(archive.entries, align=True))


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


def _check_model(data: bytes) -> None:
    require_self_contained_model(data, 1000)


def _time_methods(data: bytes) -> None:
    traced_times(read_method_trace(data))


def _use_library(data: bytes) -> None:
    """Read and judge a library, and repack it: what comes out loads the same bytes at the same addresses."""
    page, library = 1 << (data[0] % 20 if data else 0), data[1:]
    for abi in ("arm64-v8a", "armeabi-v7a"):
        verify_android_library(library, abi, file_name="libx.so")  # never raises
    elf = read_elf(library)
    for ask in (_names, ElfFile.required_versions, ElfFile.relocation_kinds, ElfFile.android_api):
        with suppress(FormatError):
            ask(elf)
    for page_bytes in (None, page):
        with suppress(FormatError):
            repacked = repack_elf(library, page_bytes=page_bytes)
            if _image(repacked, elf) != _image(library, elf):
                raise AssertionError("the repacked library loads other bytes")


def _names(elf: ElfFile) -> object:
    return elf.soname, elf.needed, list(elf.symbols())


def _image(library: bytes, original: ElfFile) -> dict[int, int]:
    """Return what is loaded at which address, without zeros, and without the headers, which may change."""
    start, count = original.header[5], original.header[10]
    headers = {*range(64), *range(start, start + count * 56)}
    found: dict[int, int] = {}
    for load in read_elf(library).loads:
        content = library[load.offset : load.file_end]
        found |= {load.address + at: byte for at, byte in enumerate(content) if byte}
    for offset in headers:
        found.pop(original.loads[0].address + offset, None)
    return found


def _examine(data: bytes) -> None:
    """Have the doctor look at an app of these parts; the archive fits them, so that they are looked into."""
    parts = dict(zip(PARTS, data.split(PART), strict=False))
    entries = [make_entry(name, content) for name, content in parts.items()]
    with suppress(Refused):
        examine(read_input(write_zip(entries, align=True), "app.apk"))


TARGETS = {
    "zip": Target(seeds.archives, _guarded(_read_all)),
    "axml": Target(seeds.manifests, _guarded(_edit_manifest)),
    "dex": Target(seeds.dex_files, _guarded(_use_dex)),
    "dalvik": Target(codes, _guarded(translate_all)),
    "mutf8": Target(seeds.texts, _guarded(_decode_text)),
    "signing": Target(seeds.apks, _guarded(_sign_anew)),
    "bundle": Target(seeds.bundles, _guarded(read_bundle)),
    "mapping": Target(seeds.mappings, _guarded(read_mapping)),
    "method-trace": Target(seeds.traces, _guarded(_time_methods)),
    "onnx": Target(seeds.models, _guarded(_check_model)),
    "wasm": Target(modules, _guarded(inspect)),
    "component": Target(components, _guarded(open_components)),
    "wit": Target(worlds, _guarded(read_wit)),
    "wave": Target(values, _guarded(read_value)),
    "signature": Target(signatures, _guarded(read_signature)),
    "state": Target(states, _guarded(read_state)),
    "oci": Target(layouts, _guarded(open_layout)),
    "elf": Target(seeds.libraries, _guarded(_use_library)),
    "doctor": Target(seeds.app_parts, _guarded(_examine)),
    "channel-server": Target(channel_targets.servers, channel_targets.feed_server),
    "channel-client": Target(channel_targets.clients, channel_targets.feed_client),
    "channel-hello": Target(channel_targets.hellos, channel_targets.feed_fresh),
}
