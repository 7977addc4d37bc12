"""The outside of a WebAssembly module: imports, exports, types, memories, names, and what it costs to
compile.

Reads every section's frame and the sections that say how a module meets the world; function bodies are
measured (declared locals, bytes), not validated: that is the engine's work. What is refused here is refused
by the engine too. Refuses sections out of order or with sizes that lie, counts that exceed the bytes,
invalid UTF-8 in names, duplicate export names, indices out of range.

Source: WebAssembly specification 3.0, chapter 5 (binary format), sections 5.2-5.5; the custom section
``name`` is appendix 7.4. A component (a later layer, `is_component`) is recognised by its version field and
not read.

On the first-run path of ``lawow exec``, so the values here are plain classes: importing `dataclasses` takes
longer than the whole scan.
"""

from __future__ import annotations

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.bytes import ByteReader
from lawow.formats.interface import FuncType
from lawow.formats.wasm_types import (
    RECURSIVE,
    MemoryType,
    Value,
    read_count,
    read_declared_locals,
    read_kind,
    read_limits,
    read_name,
    read_subtype,
    read_value_type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lawow.limits import ModuleLimits

__all__ = [
    "WIT_SECTION",
    "CustomSection",
    "Export",
    "FuncType",
    "Import",
    "MemoryType",
    "ModuleInfo",
    "function_names",
    "inspect_module",
    "require_within_limits",
]

WIT_SECTION = "lawow:wit"
"""Name of the custom section that holds a core module's interface as WIT text."""

_MAGIC = b"\0asm"
_MODULE_VERSION = 1
_COMPONENT_LAYER = 1 << 16  # version field of a component: 0x0001000d

_SECTION_NAMES = {
    0: "custom",
    1: "type",
    2: "import",
    3: "function",
    4: "table",
    5: "memory",
    6: "global",
    7: "export",
    8: "start",
    9: "element",
    10: "code",
    11: "data",
    12: "datacount",
    13: "tag",
}

_ORDER = {id_: rank for rank, id_ in enumerate((1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11))}
"""Section id -> rank. Sections other than custom ones come at most once and in this order."""


class Import(Value):
    """One import: `module` and `name`, the `kind` ("func", "table", "memory", "global", "tag"), a func's
    type.
    """

    __slots__ = ("kind", "module", "name", "type")

    def __init__(self, module: str, name: str, kind: str, type: FuncType | None) -> None:
        self.module = module
        self.name = name
        self.kind = kind
        self.type = type


class Export(Value):
    """One export: its `name`, `kind`, the `index` in its kind's index space, and a function's `type`."""

    __slots__ = ("index", "kind", "name", "type")

    def __init__(self, name: str, kind: str, index: int, type: FuncType | None) -> None:
        self.name = name
        self.kind = kind
        self.index = index
        self.type = type


class CustomSection(Value):
    """A custom section: its name, and where its content lies in the module."""

    __slots__ = ("name", "offset", "size_bytes")

    def __init__(self, name: str, offset: int, size_bytes: int) -> None:
        self.name = name
        self.offset = offset
        self.size_bytes = size_bytes


class ModuleInfo:
    """What a module says about itself, in the order of the file.

    `functions` counts the defined ones (imports not included); `start` is the index of the start function.
    `locals_most` and `locals_in_all` count declared locals, `body_bytes_most` is the longest body, and
    `local_bytes_most` the greatest product of a body's locals and bytes: a measure of what register
    allocation costs at worst.
    """

    __slots__ = (
        "body_bytes_most",
        "custom_sections",
        "exports",
        "functions",
        "globals",
        "imports",
        "is_component",
        "local_bytes_most",
        "locals_in_all",
        "locals_most",
        "memories",
        "module_bytes",
        "start",
        "tables",
        "types",
    )

    def __init__(self, module_bytes: int, *, is_component: bool = False) -> None:
        self.module_bytes = module_bytes
        self.is_component = is_component
        self.types: list[FuncType | None] = []  # None: a struct or array type
        self.imports: list[Import] = []
        self.exports: list[Export] = []
        self.memories: list[MemoryType] = []
        self.custom_sections: list[CustomSection] = []
        self.functions = self.tables = self.globals = 0
        self.start: int | None = None
        self.locals_most = self.locals_in_all = self.body_bytes_most = self.local_bytes_most = 0

    def export(self, name: str) -> Export | None:
        """Return the export of that name, whatever its kind."""
        return next((export for export in self.exports if export.name == name), None)

    @property
    def interface(self) -> CustomSection | None:
        """The custom section with the module's interface as WIT, as `lawow build` adds it."""
        return next((item for item in self.custom_sections if item.name == WIT_SECTION), None)

    @property
    def callable_exports(self) -> list[Export]:
        """The exported functions whose parameters and results are numbers."""
        return [item for item in self.exports if item.type is not None and item.type.is_callable]


def inspect_module(data: bytes | memoryview, *, limits: ModuleLimits | None = None) -> ModuleInfo:
    """Read a binary module. With `limits`, counts are checked before anything is stored for them.

    Raises `FormatError` if the file is malformed, `LimitExceeded` as `require_within_limits` does.
    """
    if limits is not None:
        _require_at_most("module_bytes", len(data), limits.module_bytes)
    reader = ByteReader(data, structure="module")
    if bytes(data[:4]) != _MAGIC:
        raise FormatError(
            "is not a WebAssembly module",
            structure="magic",
            offset=0,
            found=bytes(data[:4]),
            allowed=_MAGIC,
        )
    reader.skip(4)
    version = reader.read_u32()
    if version >= _COMPONENT_LAYER:
        return ModuleInfo(len(data), is_component=True)
    if version != _MODULE_VERSION:
        raise FormatError("unknown version", structure="version", offset=4, found=version, allowed=1)
    scan = _Scan(data, limits)
    scan.read_sections(reader)
    if limits is not None:
        require_within_limits(scan.info, limits)
    return scan.info


def require_within_limits(info: ModuleInfo, limits: ModuleLimits) -> None:
    """Refuse a module that would cost too much to compile. Raises `LimitExceeded` naming the limit."""
    names = [item.name for item in info.imports] + [item.name for item in info.exports]
    for limit, value in (
        ("module_bytes", info.module_bytes),
        ("functions", info.functions),
        ("imports", len(info.imports)),
        ("exports", len(info.exports)),
        ("name_bytes", max(map(len, names), default=0)),
        ("locals_per_function", info.locals_most),
        ("locals_in_all", info.locals_in_all),
        ("function_body_bytes", info.body_bytes_most),
        ("local_bytes", info.local_bytes_most),
    ):
        _require_at_most(limit, value, getattr(limits, limit))


def function_names(data: bytes, info: ModuleInfo) -> dict[int, str]:
    """Return function index -> name from the custom section ``name``.

    Names are a courtesy to people: a damaged section gives what could be read before the damage.
    """
    names: dict[int, str] = {}
    section = next((item for item in info.custom_sections if item.name == "name"), None)
    if section is None:
        return names
    reader = ByteReader(data, section.offset, section.offset + section.size_bytes, structure="name")
    try:
        while reader.remaining:
            kind, part = reader.read_u8(), _part(reader, data, "name")
            if kind == 1:  # function names
                for _ in range(read_count(part)):
                    index = part.read_uleb128()
                    names[index] = read_name(part)
    except FormatError:
        return names
    return names


def _require_at_most(limit: str, value: int, maximum: int) -> None:
    if value > maximum:
        raise LimitExceeded(limit, value, maximum, hint="a module like this is not compiled")


class _Scan:
    """One pass over the sections, filling `info`."""

    def __init__(self, data: bytes | memoryview, limits: ModuleLimits | None) -> None:
        self.data = data
        self.limits = limits
        self.info = ModuleInfo(len(data))
        self.function_types: list[int] = []  # type index of every function, imported ones first
        self.bodies: int | None = None

    def read_sections(self, reader: ByteReader) -> None:
        """Read all sections; then check what only the whole can tell."""
        last = -1
        while reader.remaining:
            reader.structure = "section"
            id_ = reader.read_u8()
            if id_ not in _SECTION_NAMES:
                raise reader.fail("unknown section", found=id_, allowed="0 to 13")
            part = _part(reader, self.data, _SECTION_NAMES[id_])
            if id_:
                if _ORDER[id_] <= last:
                    raise part.fail("this section comes twice or out of order")
                last = _ORDER[id_]
            self._read_section(id_, part)
        if (self.bodies or 0) != self.info.functions:
            raise FormatError(
                "the number of bodies differs from the function section's",
                structure="code",
                found=self.bodies or 0,
                allowed=self.info.functions,
            )

    def _read_section(self, id_: int, part: ByteReader) -> None:
        reader = _READERS.get(id_)
        if reader is None:
            return
        reader(self, part)
        if part.remaining:
            raise part.fail("bytes are left over at the end of the section", found=part.remaining)

    def _counted(self, part: ByteReader, limit: str = "") -> int:
        """Read a count, which the section's bytes must be able to hold."""
        count = read_count(part)
        if limit and self.limits is not None:
            _require_at_most(limit, count, getattr(self.limits, limit))
        return count

    def _type_at(self, part: ByteReader, index: int) -> FuncType:
        if index >= len(self.info.types):
            raise part.fail("type index out of range", found=index, allowed=f"below {len(self.info.types)}")
        function = self.info.types[index]
        if function is None:
            raise part.fail("this type is not a function type", found=index)
        return function

    def custom(self, part: ByteReader) -> None:
        name = read_name(part)
        self.info.custom_sections.append(CustomSection(name, part.offset, part.remaining))
        part.skip(part.remaining)

    def types(self, part: ByteReader) -> None:
        for _ in range(self._counted(part)):
            first = part.read_u8()
            if first == RECURSIVE:
                for _ in range(read_count(part)):
                    self.info.types.append(read_subtype(part, part.read_u8()))
            else:
                self.info.types.append(read_subtype(part, first))

    def imports(self, part: ByteReader) -> None:
        for _ in range(self._counted(part, "imports")):
            module, name = read_name(part), read_name(part)
            kind = read_kind(part)
            function = None
            if kind == "func":
                index = part.read_uleb128()
                function = self._type_at(part, index)
                self.function_types.append(index)
            else:
                self._skip_import(kind, part)
            self.info.imports.append(Import(module, name, kind, function))

    def _skip_import(self, kind: str, part: ByteReader) -> None:
        if kind == "table":
            read_value_type(part)
            read_limits(part)
        elif kind == "memory":
            self.info.memories.append(read_limits(part))
        elif kind == "global":
            read_value_type(part)
            part.skip(1)  # mutability
        else:
            part.skip(1)  # attribute of a tag
            self._type_at(part, part.read_uleb128())

    def functions(self, part: ByteReader) -> None:
        self.info.functions = self._counted(part, "functions")
        for _ in range(self.info.functions):
            index = part.read_uleb128()
            self._type_at(part, index)
            self.function_types.append(index)

    def tables(self, part: ByteReader) -> None:
        self.info.tables = self._counted(part)
        part.skip(part.remaining)

    def memories(self, part: ByteReader) -> None:
        self.info.memories.extend(read_limits(part) for _ in range(self._counted(part)))

    def globals(self, part: ByteReader) -> None:
        self.info.globals = self._counted(part)
        part.skip(part.remaining)

    def exports(self, part: ByteReader) -> None:
        names: set[str] = set()
        for position in range(self._counted(part, "exports")):
            name = read_name(part)
            kind, index = read_kind(part), part.read_uleb128()
            if name in names:
                raise FormatError(
                    "two exports have this name", structure="export", index=position, found=name
                )
            names.add(name)
            function = None
            if kind == "func":
                if index >= len(self.function_types):
                    raise part.fail("function index out of range", found=index)
                function = self._type_at(part, self.function_types[index])
            self.info.exports.append(Export(name, kind, index, function))

    def start(self, part: ByteReader) -> None:
        self.info.start = part.read_uleb128()
        if self.info.start >= len(self.function_types):
            raise part.fail("function index out of range", found=self.info.start)

    def code(self, part: ByteReader) -> None:
        info = self.info
        self.bodies = self._counted(part)
        for _ in range(self.bodies):
            size = part.read_uleb128()
            end = part.offset + size
            if size > part.remaining:
                raise part.fail("ends too early", found=f"{part.remaining} bytes", allowed=f"{size} or more")
            declared = read_declared_locals(part)
            if part.offset > end:
                raise part.fail("the locals are longer than the body")
            part.skip(end - part.offset)
            info.locals_in_all += declared
            info.locals_most = max(info.locals_most, declared)
            info.body_bytes_most = max(info.body_bytes_most, size)
            info.local_bytes_most = max(info.local_bytes_most, declared * size)


_READERS: dict[int, Callable[[_Scan, ByteReader], None]] = {
    0: _Scan.custom,
    1: _Scan.types,
    2: _Scan.imports,
    3: _Scan.functions,
    4: _Scan.tables,
    5: _Scan.memories,
    6: _Scan.globals,
    7: _Scan.exports,
    8: _Scan.start,
    10: _Scan.code,
}
"""Section id -> its reader; sections that are not here are skipped as a whole."""


def _part(reader: ByteReader, data: bytes | memoryview, structure: str) -> ByteReader:
    """Read a size and return a reader of that many bytes, past which `reader` is moved."""
    reader.structure = structure
    size = reader.read_uleb128()
    start = reader.offset
    reader.skip(size)
    return ByteReader(data, start, start + size, structure=structure)
