"""Reads the ``mapping.txt`` that R8 and ProGuard write: which name they gave to which class and member.

Strict: every line is a comment, a class line (``original -> residual:``) or, below one, a member line
(``1:3:int fib(int):10:12 -> a``); anything else is a `FormatError` with its line. Work and memory are
linear in the size of the file; members are taken apart when they are asked for. What the file calls the
residual name is the one in the dex file. Source: "R8, retrace and map file versioning".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from lawow.errors import FormatError, LimitExceeded

__all__ = ["MAPPING_BYTES", "PRIMITIVES", "Mapping", "OriginalMethod", "read_mapping"]

MAPPING_BYTES = 512 << 20
"""The mappings of the largest apps have about 200 MB."""

_CLASS = re.compile(r"([^\s:>]+) -> ([^\s:>]+):")
# One way to match each line: no part may begin with what the part before it may hold.
_MEMBER = re.compile(
    r"[ \t]+(?:(\d{1,10}):(\d{1,10}):)?([^\s:(]+) ([^\s:()]+)"
    r"(?:\(([^()\s]*)\))?(?::\d{1,10}(?::\d{1,10})?)? -> ([^\s:]+)"
)
PRIMITIVES = {
    "void": "V",
    "boolean": "Z",
    "byte": "B",
    "short": "S",
    "char": "C",
    "int": "I",
    "long": "J",
    "float": "F",
    "double": "D",
}
"""Java's name -> letter in a descriptor."""
_DESCRIPTOR_TYPE = re.compile(r"(\[*)(?:L([^;]+);|([VZBSCIJFD]))")
_NAME_OF_PRIMITIVE = {letter: name for name, letter in PRIMITIVES.items()}


@dataclass(frozen=True, slots=True)
class OriginalMethod:
    """A method as its author called it. `class_name` differs from its class' where it was merged into it."""

    class_name: str
    name: str
    parameters: tuple[str, ...]
    return_type: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """One member line: a range of residual lines, a method, and the residual name."""

    lines: tuple[str, str] | None
    method: OriginalMethod
    residual: str


class Mapping:
    """Names before and after the shrinker. All names have dots; nested classes have ``$``."""

    def __init__(self, original: dict[str, str], lines: list[str], members: dict[str, range]) -> None:
        """Take original names by residual class name, the lines, and which of them are a class' members."""
        self._original = original
        self._residual = {name: residual for residual, name in original.items()}
        self._lines = lines
        self._members = members
        self._methods: dict[str, dict[str, list[OriginalMethod]]] = {}

    def __len__(self) -> int:
        return len(self._original)

    def original_class(self, residual: str) -> str:
        """Return the original name of a class; its own name if the shrinker did not list it."""
        return self._original.get(residual, residual)

    def residual_class(self, original: str) -> str:
        """Return the name that a class has in the dex file."""
        return self._residual.get(original, original)

    def original_methods(self, residual_class: str, name: str, descriptor: str) -> tuple[OriginalMethod, ...]:
        """Return what a method of the dex file was called; more than one only if the file is ambiguous.

        `descriptor` is the dex file's, ``(La/b;I)V``. A method that is not listed kept its name.
        """
        parameters, return_type = self._source_types(descriptor)
        named = self._methods_of(residual_class).get(name, ())
        found = [item for item in named if (item.parameters, item.return_type) == (parameters, return_type)]
        # A shrinker may change types too (enum unboxing); then a single candidate by name is the method.
        if not found and len(named) == 1:
            found = list(named)
        if not found:
            found = [OriginalMethod(self.original_class(residual_class), name, parameters, return_type)]
        return tuple(dict.fromkeys(found))

    def _source_types(self, descriptor: str) -> tuple[tuple[str, ...], str]:
        kinds = [self._source_type(match) for match in _DESCRIPTOR_TYPE.finditer(descriptor)]
        return tuple(kinds[:-1]), kinds[-1] if kinds else ""

    def _source_type(self, match: re.Match[str]) -> str:
        arrays, class_name, primitive = match.groups()
        name = (
            self.original_class(class_name.replace("/", ".")) if class_name else _NAME_OF_PRIMITIVE[primitive]
        )
        return name + "[]" * len(arrays)

    def _methods_of(self, residual_class: str) -> dict[str, list[OriginalMethod]]:
        if residual_class not in self._methods:
            owner = self.original_class(residual_class)
            methods: dict[str, list[OriginalMethod]] = {}
            lines = [self._lines[number] for number in self._members.get(residual_class, ())]
            for frame in _outer_frames(lines, owner):
                methods.setdefault(frame.residual, []).append(frame.method)
            self._methods[residual_class] = methods
        return self._methods[residual_class]


def _outer_frames(lines: list[str], owner: str) -> Iterator[_Frame]:
    """Yield the methods themselves: of lines for one range of lines, the inlined ones stand first."""
    frames = [frame for line in lines if (frame := _frame(line, owner)) is not None]
    for frame, following in zip_longest(frames, frames[1:]):
        is_inlined = (
            following is not None
            and frame.lines is not None
            and (frame.lines, frame.residual) == (following.lines, following.residual)
        )
        if not is_inlined:
            yield frame


def _frame(line: str, owner: str) -> _Frame | None:
    """Take a member line apart; None for a field."""
    match = _MEMBER.fullmatch(line)
    if match is None or match[5] is None:
        return None
    qualified, _, name = match[4].rpartition(".")
    parameters = tuple(match[5].split(",")) if match[5] else ()
    method = OriginalMethod(qualified or owner, name, parameters, match[3])
    lines = (match[1], match[2]) if match[1] is not None else None
    return _Frame(lines, method, match[6])


def read_mapping(data: bytes) -> Mapping:
    """Read a mapping file. Raises `FormatError` with the line, `LimitExceeded` above `MAPPING_BYTES`."""
    if len(data) > MAPPING_BYTES:
        raise LimitExceeded("mapping_bytes", len(data), MAPPING_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError("is not UTF-8 text", structure="mapping", offset=error.start) from None
    original: dict[str, str] = {}
    members: dict[str, range] = {}
    residual = ""
    first_line: dict[str, int] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line or line.isspace() or line.lstrip(" \t").startswith("#"):
            continue
        if line[0] in " \t":
            _require_member(line, number, residual)
            members[residual] = range(members[residual].start, number)
            continue
        name, residual = _class_line(line, number)
        _require_new(name, residual, number, first_line, original)
        original[residual] = name
        members[residual] = range(number, number)
    if not original:
        raise FormatError("names no class; it is not a mapping of R8 or ProGuard", structure="mapping")
    return Mapping(original, lines, members)


def _class_line(line: str, number: int) -> tuple[str, str]:
    match = _CLASS.fullmatch(line)
    if match is None:
        raise _wrong(line, number, "a class line: original.Name -> a.b:")
    return match[1], match[2]


def _require_member(line: str, number: int, residual: str) -> None:
    if not residual:
        raise _wrong(line, number, "a class line before the first member line")
    if _MEMBER.fullmatch(line) is None:
        raise _wrong(line, number, "a member line: 1:3:int fib(int):10:12 -> a")


def _require_new(
    name: str, residual: str, number: int, first_line: dict[str, int], original: dict[str, str]
) -> None:
    if residual in original:
        raise _wrong(f"{residual} for the second time", number, "each residual class name once")
    if name in first_line:
        raise _wrong(f"{name} as in line {first_line[name]}", number, "each original class name once")
    first_line[name] = number


def _wrong(found: str, number: int, allowed: str) -> FormatError:
    return FormatError(
        "is not a line of a mapping",
        structure="line",
        index=number,
        found=repr(found[:80]),
        allowed=allowed,
    )
