"""Reads WIT: a recursive descent over tokens, within limits of size, depth and what names stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lawow.errors import FormatError
from lawow.formats.wit.types import (
    PRIMITIVES,
    UNSUPPORTED,
    Enumeration,
    Field,
    Flags,
    Function,
    ListOf,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
    WitType,
    World,
    parts_of,
)

__all__ = ["parse_wit"]

_LARGEST_BYTES = 1 << 20
_DEEPEST = 32
_LONGEST_EXPANSION = 10_000
"""Nodes that the types of one document may have when named types stand for themselves: names could double
at each step.
"""

_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)"
    r"|(?P<name>%?[A-Za-z][A-Za-z0-9-]*)"
    r"|(?P<version>@[0-9][0-9A-Za-z.+-]*)"
    r"|(?P<sign>->|[{}()<>,;:=/_])"
)


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Split a text into (token, offset); comments and space go. Raises `FormatError`."""
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise FormatError("is no WIT", offset=offset, found=repr(text[offset : offset + 20]))
        if match.lastgroup != "space":
            yield match.group(), offset
        offset = match.end()


def parse_wit(text: str) -> World:
    """Read a document with one world, or with interfaces only: then they are what is exported.

    Raises `FormatError`.
    """
    if len(text) > _LARGEST_BYTES:
        raise FormatError("is too long for WIT", found=len(text), allowed=_LARGEST_BYTES)
    return _Parser(text).document()


class _Parser:
    """Recursive descent over the tokens of one document."""

    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), ("", len(text))]
        self._position = 0
        self._types: dict[str, tuple[WitType, int, int]] = {}  # with its nodes and its depth
        self._nodes = 0
        self._interfaces: dict[str, tuple[Function, ...]] = {}

    # -- tokens

    def _peek(self) -> str:
        return self._tokens[self._position][0]

    def _peek_next(self) -> str:
        """Return the token after the next one; behind the end there are only ends."""
        return self._tokens[min(self._position + 1, len(self._tokens) - 1)][0]

    def _fail(self, message: str, allowed: str | None = None) -> FormatError:
        token, offset = self._tokens[self._position]
        return FormatError(message, structure="WIT", offset=offset, found=token or "the end", allowed=allowed)

    def _take(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._position += 1
        return True

    def _need(self, token: str) -> None:
        if not self._take(token):
            raise self._fail("is not what must stand here", token)

    def _name(self) -> str:
        token = self._peek()
        if not re.fullmatch(r"%?[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*", token):
            raise self._fail("is no name", "letters, digits and - between them")
        if token in UNSUPPORTED:
            raise self._fail("is not supported here")
        self._position += 1
        return token.removeprefix("%")

    def _separated(self, end: str, read: Callable[[], object]) -> None:
        """Call `read` for each element up to `end`; a comma may follow the last."""
        while not self._take(end):
            read()
            if not self._take(","):
                self._need(end)
                return

    # -- documents

    def document(self) -> World:
        package = self._package()
        world: World | None = None
        while self._peek():
            if self._take("interface"):
                name = self._name()
                if name in self._interfaces:
                    raise self._fail(f"the interface {name} is defined twice")
                self._interfaces[name] = self._block(name)
            elif self._take("world"):
                if world is not None:
                    raise self._fail("a second world", "one")
                name = self._name()
                world = World(name, self._block(""), package)
            else:
                self._definition()
        if world is None:
            functions = tuple(item for group in self._interfaces.values() for item in group)
            world = World("root", functions, package)
        return world

    def _package(self) -> str:
        if not self._take("package"):
            return World("", ()).package
        start = self._position
        while self._peek() not in (";", ""):
            self._position += 1
        package = "".join(token for token, _ in self._tokens[start : self._position])
        self._need(";")
        if not re.fullmatch(r"%?[a-z][a-z0-9-]*:%?[a-z][a-z0-9-]*(@[0-9][0-9A-Za-z.+-]*)?", package):
            raise self._fail(f"{package[:80]!r} is no package", "namespace:name")
        return package

    def _block(self, interface: str) -> tuple[Function, ...]:
        """Read the braces of a world (`interface` is empty) or an interface."""
        self._need("{")
        functions: list[Function] = []
        while not self._take("}"):
            if not interface and self._take("export"):
                functions += self._export()
            elif interface and self._peek_next() == ":":
                functions.append(self._function(self._name(), interface))
                self._need(";")
            else:
                self._definition()
        self._require_distinct([f"{item.interface}#{item.name}" for item in functions])
        return tuple(functions)

    def _export(self) -> tuple[Function, ...]:
        name = self._name()
        if self._take(";"):
            if name not in self._interfaces:
                raise self._fail(f"no interface {name} is defined before")
            return self._interfaces[name]
        if self._peek_next() == "interface":
            self._need(":")
            self._need("interface")
            return self._block(name)
        function = self._function(name, "")
        self._need(";")
        return (function,)

    def _function(self, name: str, interface: str) -> Function:
        self._need(":")
        self._need("func")
        self._need("(")
        params: list[Field] = []
        self._separated(")", lambda: params.append(self._field()))
        self._require_distinct([item.name for item in params])
        result = self._type() if self._take("->") else None
        return Function(name, tuple(params), result, interface)

    def _require_distinct(self, names: list[str]) -> None:
        if len(set(names)) != len(names):
            raise self._fail("a name stands twice before this")

    # -- types

    def _definition(self) -> None:
        readers: dict[str, Callable[[str], WitType]] = {
            "record": self._record,
            "variant": self._variant,
            "enum": lambda name: Enumeration(self._names(), name),
            "flags": lambda name: Flags(self._names(), name),
        }
        keyword = self._peek()
        before = self._nodes
        if keyword == "type":
            self._position += 1
            name = self._name()
            self._need("=")
            item = self._type()
            self._need(";")
        elif keyword in readers:
            self._position += 1
            name = self._name()
            self._need("{")
            item = readers[keyword](name)
        else:
            raise self._fail("is not supported here", "package, world, interface, export, type, a definition")
        if name in self._types:
            raise self._fail(f"the type {name} is defined twice")
        self._types[name] = (item, self._nodes - before + 1, _depth(item))

    def _record(self, name: str) -> WitType:
        fields: list[Field] = []
        self._separated("}", lambda: fields.append(self._field()))
        self._require_distinct([item.name for item in fields])
        return Record(tuple(fields), name)

    def _variant(self, name: str) -> WitType:
        cases: list[Field] = []

        def read() -> None:
            case, payload = self._name(), None
            if self._take("("):
                payload = self._type()
                self._need(")")
            cases.append(Field(case, payload))

        self._separated("}", read)
        self._require_distinct([item.name for item in cases])
        return Variant(tuple(cases), name)

    def _names(self) -> tuple[str, ...]:
        names: list[str] = []
        self._separated("}", lambda: names.append(self._name()))
        self._require_distinct(names)
        return tuple(names)

    def _field(self) -> Field:
        name = self._name()
        self._need(":")
        return Field(name, self._type())

    def _type(self, depth: int = 0) -> WitType:
        if depth > _DEEPEST:
            raise self._fail("types are nested too deeply", str(_DEEPEST))
        token = self._peek()
        if token in PRIMITIVES:
            self._position += 1
            self._count(1)
            return Primitive(token)
        compound = {"list": self._list, "option": self._option, "tuple": self._tuple, "result": self._result}
        if token in compound:
            self._position += 1
            self._count(1)
            return compound[token](depth + 1)
        name = self._name()
        if name not in self._types:
            self._position -= 1
            raise self._fail("no type of this name is defined before")
        item, nodes, inner = self._types[name]
        if depth + inner > _DEEPEST:
            raise self._fail("types are nested too deeply, through their names", str(_DEEPEST))
        self._count(nodes)
        return item

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > _LONGEST_EXPANSION:
            raise self._fail("the types are too large", f"{_LONGEST_EXPANSION} parts")

    def _list(self, depth: int) -> WitType:
        self._need("<")
        element = self._type(depth)
        self._need(">")
        return ListOf(element)

    def _option(self, depth: int) -> WitType:
        self._need("<")
        payload = self._type(depth)
        self._need(">")
        return Option(payload)

    def _tuple(self, depth: int) -> WitType:
        self._need("<")
        items: list[WitType] = []
        self._separated(">", lambda: items.append(self._type(depth)))
        return Tuple(tuple(items))

    def _result(self, depth: int) -> WitType:
        if not self._take("<"):
            return Result(None, None)
        ok = None if self._take("_") else self._type(depth)
        error = self._type(depth) if self._take(",") else None
        self._need(">")
        return Result(ok, error)


def _depth(item: WitType | None) -> int:
    """Return how many types there are from the outside to the innermost one."""
    return 1 + max(map(_depth, parts_of(item)), default=0)
