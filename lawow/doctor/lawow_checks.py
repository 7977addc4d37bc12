"""What speaks against LAWOW's own parts in an app: the runtime, the modules and their callers, the edge.

Nothing is said of an app that carries nothing of LAWOW. A shrinker is the usual reason that parts do not fit
any more: without the keep rules that `lawow pack` writes, R8 renames the library and drops the annotations.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from lawow.doctor.app import App, Library
from lawow.doctor.findings import Finding, Kind, Severity, listed
from lawow.doctor.lawow_parts import GLUE, NATIVE, RUNTIME, RUNTIMES, Caller, LawowParts, lawow_parts
from lawow.errors import FormatError, LimitExceeded
from lawow.formats.apk import MANIFEST
from lawow.formats.dex.names import java_name
from lawow.formats.elf import read_elf
from lawow.formats.elf.constants import MACHINE_OF_ABI
from lawow.formats.zip.entry import shown_name
from lawow.limits import MODULE

__all__ = ["check_lawow"]

_INTERNET = "android.permission.INTERNET"
_FIRST_WITHOUT_CLEARTEXT = 28
_FIRST_NATIVE_API = 29
_PROPERTIES = "assets/lawow/edge.properties"
_VERSION_MARK = re.compile(rb"resolve_vmctx_memory_ptr_(\d+)_\d+_\d+")
_ENGINE_SECTION = ".wasmtime.engine"
_PACK = "run lawow pack again and build the app"
_KEEP = "make Gradle read the rules of lawow pack: proguardFiles 'src/main/lawow-proguard.txt'"

NATIVE_RENAMED = Kind(
    "lawow-native-renamed",
    Severity.ERROR,
    f"{GLUE} implements the methods of dev.lawow.Native by that name: every call of a module fails",
    _KEEP,
)
RENAMED = Kind(
    "lawow-renamed",
    Severity.WARNING,
    "the app may work, but `lawow refactor` finds neither its library nor what calls it",
    _KEEP,
)
UNMARKED = Kind(
    "binding-unmarked",
    Severity.WARNING,
    "`lawow refactor` knows by the annotation @dev.lawow.Offload what a class is bound to; a shrinker has"
    " dropped it, or put the class' code into another",
    _KEEP,
)
MODULE_MISSING = Kind(
    "module-missing",
    Severity.ERROR,
    "the call fails on the phone: the module is looked for in the APK",
    _PACK,
)
MODULE_MISMATCH = Kind(
    "module-mismatch",
    Severity.ERROR,
    "the class names the module by its SHA-256, so the call fails on the phone",
    _PACK,
)
MODULE_UNUSED = Kind(
    "module-unused",
    Severity.NOTE,
    "no class of the app calls it; a shrinker has removed its class, or nothing uses it",
    f"take it out of src/main/wasm and run lawow pack again; or, if it is used by reflection, {_KEEP}",
)
RUNTIME_HALF = Kind(
    "runtime-half",
    Severity.ERROR,
    f"{GLUE} and {RUNTIME} work only together: every call of a module fails on phones of this ABI",
    _PACK,
)
RUNTIME_MISSING = Kind(
    "runtime-missing",
    Severity.ERROR,
    "a phone of this ABI loads its libraries alone: every call of a module fails there",
    "run lawow pack for this ABI (there is a runtime for arm64-v8a and x86_64), or leave the ABI out"
    " (ndk.abiFilters)",
)
NATIVE_MISSING = Kind(
    "native-module-missing",
    Severity.ERROR,
    "the app's modules are native code here: every call of this one fails on phones of this ABI",
    _PACK,
)
NATIVE_MISMATCH = Kind(
    "native-module-mismatch",
    Severity.ERROR,
    "the library names the module that it was built with by its SHA-256; every call of another one fails",
    _PACK,
)
RUNTIME_VERSION = Kind(
    "runtime-version",
    Severity.ERROR,
    f"{GLUE} knows the data layouts of one version, looks for its mark, and refuses others: every call fails",
    _PACK,
)
RUNTIME_INTERPRETED = Kind(
    "runtime-interpreted",
    Severity.NOTE,
    f"before API {_FIRST_NATIVE_API} Android lets no app run what the runtime compiles; modules are"
    " interpreted there, about 14 to 90 times slower",
    f"raise minSdk to {_FIRST_NATIVE_API}, or leave it if such phones may wait",
)
COMPILED_VERSION = Kind(
    "cwasm-version",
    Severity.ERROR,
    "compiled modules load in the version that made them only",
    "compile it with the version of the app's runtime, or ship the .wasm, which is compiled on the phone",
)
NO_INTERNET = Kind(
    "internet-permission",
    Severity.ERROR,
    "Android opens no connection for an app without it: every call on the edge fails",
    f'write <uses-permission android:name="{_INTERNET}" /> into the manifest; lawow refactor does',
)
CLEAR_TEXT = Kind(
    "edge-clear-text",
    Severity.ERROR,
    "Android blocks plain http for apps for API level 28 and above",
    "give an https edge, or allow clear text in a network security configuration for this host",
)
TOKEN = Kind(
    "edge-token",
    Severity.WARNING,
    "whoever has the APK can read the token and call the edge with it",
    "use a token that may do no more than this app, or have the app ask its user for one",
)
ADDRESS = Kind(
    "edge-address",
    Severity.NOTE,
    "the app looks for its edge at https://127.0.0.1:8443, on the phone itself (adb reverse)",
    "give lawow refactor the address: --edge https://HOST:8443",
)


def check_lawow(app: App) -> Iterator[Finding]:
    """Yield what is wrong with the parts of LAWOW in the app."""
    parts = lawow_parts(app)
    if not parts.is_there:
        return
    yield from _names(app, parts)
    for caller in parts.callers:
        yield from _caller(parts, caller)
    yield from _unused(parts)
    yield from _runtimes(app, parts)
    yield from _compiled(app, parts)
    yield from _edge(app, parts)


def _names(app: App, parts: LawowParts) -> Iterator[Finding]:
    """Yield what a shrinker has done to the library."""
    glue = [item.place for item in parts.libraries if item.file == GLUE]
    if glue and "Ldev/lawow/Native;" not in parts.stub:
        yield NATIVE_RENAMED.at(glue[0], "no dex file defines dev.lawow.Native")
    if "Ldev/lawow/Lawow;" not in parts.stub:
        yield RENAMED.at(app.base.place("classes.dex"), "no dex file defines dev.lawow.Lawow")


def _caller(parts: LawowParts, caller: Caller) -> Iterator[Finding]:
    name = java_name(caller.descriptor)
    if not caller.calls_local:
        return
    if not caller.is_marked:
        yield UNMARKED.at(f"{caller.place}: {name}", "calls modules and carries no annotation")
    for file, digest in caller.modules:
        found = {path: it for path, it in parts.modules.items() if path.rpartition("/")[2] == file}
        if not found:
            yield MODULE_MISSING.at(f"{caller.place}: {name}", f"assets/lawow/{file} is not in the APK")
        elif digest not in found.values():
            path, other = next(iter(found.items()))
            yield MODULE_MISMATCH.at(
                path, f"its SHA-256 is {other or 'unknown'}, {name} was made for {digest}"
            )


def _unused(parts: LawowParts) -> Iterator[Finding]:
    if "Ldev/lawow/Lawow;" not in parts.stub:
        return  # then callers are not found either
    named = {file for caller in parts.callers for file, _ in caller.modules}
    for path in parts.modules:
        if path.rpartition("/")[2] not in named:
            yield MODULE_UNUSED.at(path, "is named by no class")


def _runtimes(app: App, parts: LawowParts) -> Iterator[Finding]:
    if "Ldev/lawow/EndiveEngine;" in parts.stub:
        return  # the runtime is written in Java
    by_abi: dict[str, dict[str, Library]] = {}
    for item in parts.libraries:
        by_abi.setdefault(item.abi, {})[item.file] = item
    if not by_abi and not any(caller.calls_local for caller in parts.callers):
        return
    expected = set() if app.is_set else {"arm64-v8a"}  # what most phones have
    for abi in sorted(expected | (app.files_by_abi.keys() & MACHINE_OF_ABI.keys())):
        present = by_abi.get(abi, {})
        if not present:
            yield RUNTIME_MISSING.at(f"lib/{abi}", f"has neither {GLUE} nor {RUNTIME}")
        elif NATIVE in present:
            yield from _native(app, parts, abi)
        elif missing := _missing(present.keys()):
            yield RUNTIME_HALF.at(f"lib/{abi}", f"has {listed(sorted(present))}, but not {missing}")
        elif RUNTIME in present:
            yield from _version(present[GLUE], present[RUNTIME])
    if any(GLUE in found for found in by_abi.values()) and app.min_sdk < _FIRST_NATIVE_API:
        yield RUNTIME_INTERPRETED.at(app.base.place(MANIFEST.decode()), f"minSdkVersion is {app.min_sdk}")


def _native(app: App, parts: LawowParts, abi: str) -> Iterator[Finding]:
    """Yield modules whose native library is missing for the ABI, or was built with another module."""
    libraries = {item.file: item for item in app.libraries if item.abi == abi}
    called = {pair for caller in parts.callers if caller.calls_local for pair in caller.modules}
    for file, digest in sorted(called):
        name = f"liblawow-{file.removesuffix('.wasm')}.so"
        library = libraries.get(name)
        if library is None:
            yield NATIVE_MISSING.at(f"lib/{abi}", f"has no {name}, which {file} runs in")
        elif library.data and digest.encode() not in library.data:
            yield NATIVE_MISMATCH.at(library.place, f"was not built with {file} of SHA-256 {digest}")


def _missing(present: Collection[str]) -> str:
    """Return what the glue or the runtime lacks, or nothing."""
    if GLUE not in present:
        return GLUE
    return "" if RUNTIMES & set(present) else RUNTIME


def _version(glue: Library, runtime: Library) -> Iterator[Finding]:
    mark = _VERSION_MARK.search(glue.data)
    if mark is None or not runtime.data:
        return
    wanted = mark[0].decode()
    try:
        exports = {symbol.name for symbol in read_elf(runtime.data).symbols() if symbol.defined}
    except FormatError:
        return  # the library's own check has said so
    if wanted not in exports:
        yield RUNTIME_VERSION.at(runtime.place, f"does not export {wanted}, which {GLUE} looks for")


def _compiled(app: App, parts: LawowParts) -> Iterator[Finding]:
    """Yield compiled modules of another engine than the app's runtime."""
    marks = {mark[1].decode() for item in parts.libraries if (mark := _VERSION_MARK.search(item.data))}
    if not marks:
        return
    for apk in app.apks:
        for entry in apk.archive.entries:
            if not entry.path.endswith(".cwasm"):
                continue
            try:
                version = _engine_version(entry.read(MODULE.module_bytes))
            except (FormatError, LimitExceeded):
                continue  # no compiled module, whatever its name
            if version not in marks:
                found = f"is of wasmtime {version or '(unknown)'}, the runtime is {listed(sorted(marks))}"
                yield COMPILED_VERSION.at(apk.place(shown_name(entry.name)), found)


def _engine_version(data: bytes) -> str:
    """Return wasmtime's major version in a compiled module: a byte 0, a length, and the version as text."""
    elf = read_elf(data)
    section = next((item for item in elf.sections if item.name == _ENGINE_SECTION), None)
    if section is None or section.size_bytes < 2:
        return ""
    head = data[section.offset : section.offset + section.size_bytes]
    return head[2 : 2 + head[1]].decode("ascii", "replace")


def _edge(app: App, parts: LawowParts) -> Iterator[Finding]:
    calls = [caller for caller in parts.callers if caller.calls_edge]
    if parts.edge is None and not calls:
        return
    settings = parts.edge or {}
    manifest = app.base.place(MANIFEST.decode())
    if _INTERNET not in app.base.manifest.permissions:
        shown = listed([java_name(caller.descriptor) for caller in calls]) or _PROPERTIES
        yield NO_INTERNET.at(manifest, f"does not ask for {_INTERNET}; {shown} calls the edge")
    address = settings.get("edge", "")
    if not address:
        yield ADDRESS.at(app.base.place(_PROPERTIES), "names no edge")
    elif address.lower().startswith("http:"):
        yield from _clear_text(app, address)
    if settings.get("token"):
        yield TOKEN.at(app.base.place(_PROPERTIES), "holds a token")


def _clear_text(app: App, address: str) -> Iterator[Finding]:
    if app.target_sdk < _FIRST_WITHOUT_CLEARTEXT:
        return
    place, found = app.base.place(_PROPERTIES), f"the edge is {address[:200]}"
    if app.attribute("networkSecurityConfig") is not None:
        yield CLEAR_TEXT.at(place, f"{found}; the network security configuration decides", Severity.NOTE)
    elif app.attribute("usesCleartextTraffic") is not True:
        yield CLEAR_TEXT.at(place, found)
