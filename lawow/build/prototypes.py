"""Tagged C prototypes as WIT functions.

The compiler's own preprocessor has expanded the source with ``LAWOW_SCAN`` defined (see ``lawow.h``), so
that a tag is one token and annotations are array types. Each declaration is cut out up to its body and read
by a C parser; the rest of the source, which may be C++ or use a compiler's extensions, is not.

Allowed types: integers of a fixed width, ``int``, ``char`` and their unsigned forms, ``bool``, ``float``,
``double``, ``void`` as a result, and what the annotations give. Refused, with the reason: ``long`` and
``size_t`` (another size on each target), other pointers, structures, variadic functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lawow.errors import FormatError, UsageError
from lawow.formats.interface import kebab_name
from lawow.formats.wit import Field, Function, ListOf, Primitive, WitType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pycparser import c_ast

__all__ = ["Prototype", "find_prototypes"]

_TAG = "lawow_offload__"
_TYPES = {
    **{f"int{bits}_t": f"s{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}_t": f"u{bits}" for bits in (8, 16, 32, 64)},
    "_Bool": "bool",
    "bool": "bool",
    "float": "f32",
    "double": "f64",
    "char": "s8",
    "signed char": "s8",
    "unsigned char": "u8",
    "short": "s16",
    "short int": "s16",
    "unsigned short": "u16",
    "unsigned short int": "u16",
    "int": "s32",
    "signed int": "s32",
    "unsigned int": "u32",
    "unsigned": "u32",
    "long long": "s64",
    "long long int": "s64",
    "unsigned long long": "u64",
}
"""C type -> WIT type."""

_SIZE_VARIES = ("long", "size_t", "ptrdiff_t", "intptr_t", "uintptr_t")
_TYPEDEFS = (*(name for name in _TYPES if name.endswith("_t") or name == "bool"), *_SIZE_VARIES[1:])
_RETURNS_STRING = "lawow_returns_string__"
_RETURNS_LIST = "lawow_returns_list_"
_LONGEST_DECLARATION = 10_000

_TOKEN = re.compile(
    r'"(?:[^"\\\n]|\\.)*"'  # a string or a character: a tag in it is none
    r"|'(?:[^'\\\n]|\\.)*'"
    r"|[A-Za-z_][A-Za-z0-9_]*"
    r"|[{};]"
)


class Prototype:
    """A tagged function: its name in C, which is the name of the export, and its interface."""

    __slots__ = ("c_name", "function")

    def __init__(self, c_name: str, function: Function) -> None:
        self.c_name = c_name
        self.function = function

    @property
    def needs_memory(self) -> bool:
        """Whether strings or lists cross, so that callers need the module's allocator."""
        types = [item.type for item in self.function.params] + [self.function.result]
        return any(isinstance(item, ListOf) or item == Primitive("string") for item in types)


def find_prototypes(preprocessed: str) -> list[Prototype]:
    """Return the tagged functions in the order of the text, each once.

    Raises `FormatError` for a declaration that no interface can be made of, `UsageError` if the C parser is
    not installed.
    """
    found: dict[str, Prototype] = {}
    for text in _declarations(preprocessed):
        prototype = _parse(text)
        known = found.setdefault(prototype.c_name, prototype)
        if known.function != prototype.function:
            raise FormatError(f"{prototype.c_name} is declared twice, with different types")
    by_wit: dict[str, str] = {}
    for item in found.values():
        other = by_wit.setdefault(item.function.name, item.c_name)
        if other != item.c_name:
            raise FormatError(
                f"{other} and {item.c_name} have the same name in WIT", found=item.function.name
            )
    return list(found.values())


def _declarations(text: str) -> Iterator[str]:
    """Return what follows each tag, up to its body or semicolon."""
    start = None
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == _TAG:
            start = match.end()
        elif start is not None and token in "{;}":
            declaration = " ".join(text[start : match.start()].split())
            if len(declaration) > _LONGEST_DECLARATION:
                raise FormatError("a tagged declaration is too long", found=len(declaration))
            yield declaration
            start = None
    if start is not None:
        raise FormatError("LAWOW_OFFLOAD is followed by no function")


def _parse(declaration: str) -> Prototype:
    """Read one prototype with the C parser."""
    try:
        from pycparser import c_ast, c_parser
    except ImportError:
        raise UsageError("lawow build needs pycparser: pip install 'lawow[build]'") from None
    kinds = [_RETURNS_STRING, *(f"{_RETURNS_LIST}{name}" for name in _TYPES if " " not in name)]
    prelude = "".join(f"typedef int {name};" for name in (*_TYPEDEFS, *kinds))
    fail = FormatError("is no function that can be offloaded", found=declaration[:200])
    try:
        tree = c_parser.CParser().parse(f"{prelude}{declaration};", "")
    except c_parser.ParseError as error:
        raise FormatError(
            f"the C parser does not take this declaration ({error})", found=declaration[:200]
        ) from None
    except RecursionError:
        raise fail from None
    node = tree.ext[-1]
    if not isinstance(node, c_ast.Decl) or not isinstance(node.type, c_ast.FuncDecl) or not node.name:
        raise fail
    if "static" in node.storage:
        raise FormatError(f"{node.name} is static and cannot be exported")
    return Prototype(node.name, _function(node.name, node.type))


def _function(name: str, node: c_ast.FuncDecl) -> Function:
    from pycparser import c_ast

    params: list[Field] = []
    declared = node.args.params if node.args is not None else []
    for index, item in enumerate(declared):
        if isinstance(item, c_ast.EllipsisParam):
            raise FormatError(f"{name} takes a variable number of arguments, which cannot be offloaded")
        if _words(item.type) == "void" and len(declared) == 1:
            break
        field_name = kebab_name(item.name) if item.name else f"p{index}"
        params.append(Field(field_name, _param(f"{name}: parameter {item.name or index + 1}", item.type)))
    if len({item.name for item in params}) != len(params):
        raise FormatError(f"{name}: two parameters have the same name in WIT")
    return Function(kebab_name(name), tuple(params), _result(f"{name}: the result", node.type))


def _words(node: c_ast.Node) -> str:
    """Return a plain type's words: ``unsigned int``; empty for anything else."""
    from pycparser import c_ast

    plain = isinstance(node, c_ast.TypeDecl) and isinstance(node.type, c_ast.IdentifierType)
    return " ".join(node.type.names) if plain else ""


def _param(place: str, node: c_ast.Node) -> WitType:
    from pycparser import c_ast

    if isinstance(node, c_ast.ArrayDecl) and isinstance(node.dim, c_ast.ID):
        if node.dim.name == "lawow_string__":
            return Primitive("string")
        if node.dim.name == "lawow_list__":
            return ListOf(_number(place, _words(node.type)))
    return _number(place, _words(node))


def _result(place: str, node: c_ast.Node) -> WitType | None:
    words = _words(node)
    if words == "void":
        return None
    if words == _RETURNS_STRING:
        return Primitive("string")
    if words.startswith(_RETURNS_LIST):
        return ListOf(_number(place, words.removeprefix(_RETURNS_LIST)))
    return _number(place, words)


def _number(place: str, words: str) -> WitType:
    if words in _TYPES:
        return Primitive(_TYPES[words])
    if any(word in _SIZE_VARIES for word in words.split()):
        raise FormatError(
            f"{place} has another size on other targets",
            found=words,
            allowed="int32_t, int64_t, uint64_t ...",
        )
    raise FormatError(
        f"{place} has a type that cannot cross",
        found=words or "a pointer, array or structure",
        allowed="numbers of a fixed width, bool, LAWOW_STRING, LAWOW_LIST, LAWOW_IN_OUT",
    )
