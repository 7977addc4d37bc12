"""What the code that stays on the device still needs: modules by name, the Wasm runtime, its libraries.

Looks at the tables of dex files whose orphan ids are collected: a name that stands there has a user. Where it
cannot be sure it says "needed", because a file too much costs bytes and a file too few costs the app.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lawow.formats.apk import RUNTIME_LIBRARY, AppPackage
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.spec import ItemType
from lawow.formats.dex.symbols import MethodRef, References
from lawow.formats.zip import ZipArchive
from lawow.refactor.classify import is_library, java_name
from lawow.refactor.dexes import DexSplit, Remainder
from lawow.refactor.proxy import LOAD_LIBRARY

__all__ = ["RUNTIME_LIBRARY", "module_user", "runtime_user"]

LIBRARY_FILES = (b"libwasmtime.so", b"libwasmedge.so", b"liblawow.so")
RUNTIME_NAMES = frozenset(("lawow", "wasmtime", "wasmedge"))
LIBRARY_NAMES = RUNTIME_NAMES | {"liblawow.so", "libwasmtime.so", "libwasmedge.so"}
LOCAL_CLASSES = {
    f"Ldev/lawow/{name};" for name in ("LocalRuntime", "Native", "NativeRuntime", "LocalModule", "WasmModule")
}
LAWOW = "Ldev/lawow/Lawow;"

Test = Callable[[References], bool]
NameTest = Callable[[str], bool]


def module_user(split: DexSplit, file: str) -> str | None:
    """Return a sentence on who opens the module `file` by name, or None if nobody does."""

    def names_it(text: str) -> bool:
        return text == file or text.endswith(f"/{file}")

    def addresses_it(text: str) -> bool:
        return names_it(text) or text.startswith(f"{file}@")  # as dev.lawow.Target takes it

    # Every proxy holds its module's address, so in moved classes only the bare name counts.
    return _string_holder(split, file.encode(), addresses_it) or _moved_string_holder(split, names_it)


def runtime_user(split: DexSplit, app: AppPackage, removed: set[str]) -> str | None:
    """Return a sentence on who still needs the Wasm runtime on the device, or None.

    `removed` holds the paths of the entries of the base APK that go; of its companions none has gone yet.
    """
    kept: set[str] = set()
    archives = [(app.archive, removed), *((companion.archive, kept) for companion in app.companions)]
    return (
        _first(_module_that_stays(archive, gone) for archive, gone in archives)
        or _caller_of_local(split)
        or _string_user(split, b"lawow", _names_library)
        or _string_user(split, b"wasmtime", _names_library)
        or _string_user(split, b"wasmedge", _names_library)
        or _first(_library_that_loads(archive) for archive, _ in archives)
    )


def _first(sentences: Iterable[str | None]) -> str | None:
    return next(filter(None, sentences), None)


def _module_that_stays(archive: ZipArchive, removed: set[str]) -> str | None:
    for entry in archive.entries:
        if entry.name.endswith(b".wasm") and entry.path not in removed:
            return f"the module {entry.path} stays"
    return None


def _caller_of_local(split: DexSplit) -> str | None:
    def calls(references: References) -> bool:
        return any(map(_is_local, references.methods)) or bool(LOCAL_CLASSES & references.types)

    for remainder in split.remainders:
        if b"Ldev/lawow/" in remainder.dex.data and _tables_name_local(remainder.dex):
            return f"{_class_that(remainder, calls)} runs modules on the device"
    for name, references in split.moved_references:
        if calls(references):
            return f"a method of {name} that is not moved runs modules on the device"
    return None


def _is_local(method: MethodRef) -> bool:
    return (method.class_name == LAWOW and method.name == "local") or method.class_name in LOCAL_CLASSES


def _tables_name_local(dex: Dex) -> bool:
    types = (dex.type(index) for index in range(dex.size_of(ItemType.TYPE_ID_ITEM)))
    methods = (dex.method(index) for index in range(dex.size_of(ItemType.METHOD_ID_ITEM)))
    return any(item in LOCAL_CLASSES for item in types) or any(map(_is_local, methods))


def _class_that(remainder: Remainder, test: Test) -> str:
    """Return the name of the first class whose code passes `test`, or that of the dex file."""
    for view in remainder.dex.classes:
        if not is_library(view.descriptor) and test(remainder.dex.references_of(view)):
            return java_name(view.descriptor)
    return remainder.name


def _names_library(text: str) -> bool:
    return text in LIBRARY_NAMES or text.rpartition("/")[2] in LIBRARY_NAMES


def _string_user(split: DexSplit, part: bytes, names_it: NameTest) -> str | None:
    return _string_holder(split, part, names_it) or _moved_string_holder(split, names_it)


def _string_holder(split: DexSplit, part: bytes, names_it: NameTest) -> str | None:
    """Return which resident holds a string that passes `names_it`; `part` must occur in every such string."""

    def holds(references: References) -> bool:
        return any(map(names_it, references.strings))

    for remainder in split.remainders:
        if part in remainder.dex.data and (text := next(filter(names_it, _strings(remainder.dex)), None)):
            return f'{_class_that(remainder, holds)} holds the string "{text}"'
    return None


def _moved_string_holder(split: DexSplit, names_it: NameTest) -> str | None:
    for name, references in split.moved_references:
        # What such a class loads by a bare name, it loads by the stub library, which does without.
        harmless = RUNTIME_NAMES if LOAD_LIBRARY in references.methods else frozenset()
        if text := next(filter(names_it, references.strings - harmless), None):
            return f'a method of {name} that is not moved holds the string "{text}"'
    return None


def _strings(dex: Dex) -> Iterator[str]:
    return (dex.string(index) for index in range(dex.size_of(ItemType.STRING_ID_ITEM)))


def _library_that_loads(archive: ZipArchive) -> str | None:
    """Return the first native library of the app that names a runtime library, as NEEDED or for dlopen."""
    for entry in archive.entries:
        if not entry.name.startswith(b"lib/") or RUNTIME_LIBRARY.fullmatch(entry.path):
            continue
        content = entry.read() if entry.name.endswith(b".so") and entry.is_readable else b""
        for name in LIBRARY_FILES:
            if name in content:
                return f"{entry.path} loads {name.decode()}"
    return None
