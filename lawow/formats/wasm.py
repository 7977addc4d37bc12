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

_KINDS = ("func", "table", "memory", "global", "tag")
"""External kinds by number (5.2.8, ``externtype``)."""

_NUMBER_TYPES = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128"}
_REFERENCE_TYPES = {
    0x70: "funcref",
    0x6F: "externref",
    0x6E: "anyref",
    0x6D: "eqref",
    0x6C: "i31ref",
    0x6B: "structref",
    0x6A: "arrayref",
    0x69: "exnref",
    0x71: "nullref",
    0x72: "nullexternref",
    0x73: "nullfuncref",
    0x74: "nullexnref",
}
_PACKED_TYPES = {0x78: "i8", 0x77: "i16"}
_VALUE_TYPES = _NUMBER_TYPES | _REFERENCE_TYPES

_REFERENCE = {0x63: "(ref null ...)", 0x64: "(ref ...)"}
_FUNC, _STRUCT, _ARRAY = 0x60, 0x5F, 0x5E
_SUBTYPE, _FINAL_SUBTYPE, _RECURSIVE = 0x50, 0x4F, 0x4E

_HAS_MAXIMUM, _SHARED, _IS_64, _HAS_PAGE_SIZE = 1, 2, 4, 8  # flags of limits


class _Value:
    """Base of the immutable values of this module: equality and repr by their slots."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def __repr__(self) -> str:
        pairs = ", ".join(
            f"{name}={value!r}" for name, value in zip(self.__slots__, self._parts(), strict=True)
        )
        return f"{type(self).__name__}({pairs})"

    def _parts(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


class Import(_Value):
    """One import: `module` and `name`, the `kind` ("func", "table", "memory", "global", "tag"), a func's
    type.
    """

    __slots__ = ("kind", "module", "name", "type")

    def __init__(self, module: str, name: str, kind: str, type: FuncType | None) -> None:
        self.module = module
        self.name = name
        self.kind = kind
        self.type = type


class Export(_Value):
    """One export: its `name`, `kind`, the `index` in its kind's index space, and a function's `type`."""

    __slots__ = ("index", "kind", "name", "type")

    def __init__(self, name: str, kind: str, index: int, type: FuncType | None) -> None:
        self.name = name
        self.kind = kind
        self.index = index
        self.type = type


class MemoryType(_Value):
    """A memory: minimum and maximum in pages of `page_bytes` (None: no maximum)."""

    __slots__ = ("is_64", "is_shared", "maximum_pages", "minimum_pages", "page_bytes")

    def __init__(
        self, minimum_pages: int, maximum_pages: int | None, page_bytes: int, is_shared: bool, is_64: bool
    ) -> None:
        self.minimum_pages = minimum_pages
        self.maximum_pages = maximum_pages
        self.page_bytes = page_bytes
        self.is_shared = is_shared
        self.is_64 = is_64


class CustomSection(_Value):
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
                for _ in range(_count(part)):
                    index = part.read_uleb128()
                    names[index] = _name(part)
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
        count = _count(part)
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
        name = _name(part)
        self.info.custom_sections.append(CustomSection(name, part.offset, part.remaining))
        part.skip(part.remaining)

    def types(self, part: ByteReader) -> None:
        for _ in range(self._counted(part)):
            first = part.read_u8()
            if first == _RECURSIVE:
                for _ in range(_count(part)):
                    self.info.types.append(_subtype(part, part.read_u8()))
            else:
                self.info.types.append(_subtype(part, first))

    def imports(self, part: ByteReader) -> None:
        for _ in range(self._counted(part, "imports")):
            module, name = _name(part), _name(part)
            kind = _kind(part)
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
            _value_type(part)
            _limits(part)
        elif kind == "memory":
            self.info.memories.append(_limits(part))
        elif kind == "global":
            _value_type(part)
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
        self.info.memories.extend(_limits(part) for _ in range(self._counted(part)))

    def globals(self, part: ByteReader) -> None:
        self.info.globals = self._counted(part)
        part.skip(part.remaining)

    def exports(self, part: ByteReader) -> None:
        names: set[str] = set()
        for position in range(self._counted(part, "exports")):
            name = _name(part)
            kind, index = _kind(part), part.read_uleb128()
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
            declared = _declared_locals(part)
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


def _count(reader: ByteReader) -> int:
    """Read the length of a vector. An element takes a byte or more, so a count above the bytes left lies."""
    count = reader.read_uleb128()
    if count > reader.remaining:
        raise reader.fail("count exceeds the section", found=count, allowed=f"at most {reader.remaining}")
    return count


def _name(reader: ByteReader) -> str:
    data = reader.read_bytes(reader.read_uleb128())
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise reader.fail("a name is not UTF-8", found=error.reason) from None


def _kind(reader: ByteReader) -> str:
    number = reader.read_u8()
    if number >= len(_KINDS):
        raise reader.fail("unknown external kind", found=number, allowed="0 to 4")
    return _KINDS[number]


def _value_type(reader: ByteReader) -> str:
    code = reader.read_u8()
    if code in _REFERENCE:
        reader.read_sleb128(33)  # heap type
        return _REFERENCE[code]
    if code not in _VALUE_TYPES:
        raise reader.fail("unknown value type", found=f"{code:#x}")
    return _VALUE_TYPES[code]


def _subtype(reader: ByteReader, first: int) -> FuncType | None:
    """Read a sub type whose first byte was read; return it if it is a function type."""
    if first in (_SUBTYPE, _FINAL_SUBTYPE):
        for _ in range(_count(reader)):
            reader.read_uleb128()  # supertype
        first = reader.read_u8()
    if first == _FUNC:
        return FuncType(_value_types(reader), _value_types(reader))
    if first == _STRUCT:
        for _ in range(_count(reader)):
            _field(reader)
    elif first == _ARRAY:
        _field(reader)
    else:
        raise reader.fail("unknown form of type", found=f"{first:#x}")
    return None


def _value_types(reader: ByteReader) -> tuple[str, ...]:
    return tuple(_value_type(reader) for _ in range(_count(reader)))


def _field(reader: ByteReader) -> None:
    """Skip a field type: storage type and mutability."""
    code = reader.read_u8()
    if code in _REFERENCE:
        reader.read_sleb128(33)
    elif code not in _VALUE_TYPES and code not in _PACKED_TYPES:
        raise reader.fail("unknown storage type", found=f"{code:#x}")
    reader.skip(1)


def _limits(reader: ByteReader) -> MemoryType:
    """Read limits as memories and tables have them (a table's "pages" are elements)."""
    flags = reader.read_u8()
    if flags > _HAS_MAXIMUM | _SHARED | _IS_64 | _HAS_PAGE_SIZE:
        raise reader.fail("unknown flags of limits", found=f"{flags:#x}")
    minimum = reader.read_uleb128(64)
    maximum = reader.read_uleb128(64) if flags & _HAS_MAXIMUM else None
    page_log2 = reader.read_uleb128() if flags & _HAS_PAGE_SIZE else 16
    if page_log2 not in (0, 16):
        raise reader.fail("unknown page size", found=f"2^{page_log2}", allowed="1 or 65,536 bytes")
    return MemoryType(minimum, maximum, 1 << page_log2, bool(flags & _SHARED), bool(flags & _IS_64))


def _declared_locals(reader: ByteReader) -> int:
    """Read the local declarations of a body and return how many locals they declare."""
    total = 0
    for _ in range(_count(reader)):
        total += reader.read_uleb128()
        _value_type(reader)
    return total
