"""A call with strings and lists from the command line: arguments as text, results as lines and as JSON.

A string is written as it is. A list is written as JSON, ``[1, 2, 3]`` or ``[true, false]``, and printed in
the same way; floats may be ``NaN`` and ``Infinity``, integers may be strings of digits. Numbers are written
as in `lawow.execution.arguments`. ``@FILE`` is a list of the file's bytes. A list that the export has changed
is printed as ``p0 = [3, 2, 1]``. Two parameters cannot be made the same list here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from lawow.errors import FormatError, LimitExceeded, UsageError
from lawow.execution.argument_files import read_argument_file
from lawow.execution.arguments import format_result, json_value, parse_number
from lawow.execution.output import escape_controls
from lawow.formats.elements import (
    Argument,
    Packed,
    PackedValue,
    Returned,
    pack_elements,
    pack_text,
    unpack_elements,
    unpack_text,
)
from lawow.formats.interface import LETTERS, FuncType
from lawow.formats.signature import (
    Element,
    ListType,
    ScalarType,
    Signature,
    StringType,
    ValueType,
    parse_typed_signature,
    typed_wit_of,
)
from lawow.runtime.base import Instance
from lawow.runtime.hot import CALL
from lawow.runtime.lowering import TypedCaller

__all__ = ["TypedCall"]

CORE_TYPES = {letter: name for name, letter in LETTERS.items()}

_BYTE = "b"

JsonValue = int | float | str | list[int | float | str]


class TypedCall:
    """One call of an export by a signature with strings and lists."""

    def __init__(self, export: str, text: str, function: FuncType, texts: Sequence[str]) -> None:
        """Read the arguments. Raises `UsageError`; `function` is the export's core type."""
        self._export = export
        self._signature = _parse(text)
        if self._signature.flat != function:
            raise UsageError(
                f"{export} has the type {function}; the signature {text} stands for {self._signature.flat}"
            )
        if len(texts) != len(self._signature.params):
            raise UsageError(
                f"the signature {text} takes {len(self._signature.params)} arguments, {len(texts)} given"
            )
        pairs = enumerate(zip(self._signature.params, texts, strict=True))
        self._arguments = tuple(_argument(index, kind, item) for index, (kind, item) in pairs)
        self._returned = Returned((), {})

    def run(self, instance: Instance, deadline_seconds: float | None) -> None:
        """Call. Raises what `TypedCaller.call` raises."""
        caller = TypedCaller(instance, result_bytes=CALL.output_bytes)
        self._returned = caller.call(
            self._export, self._signature, self._arguments, deadline_seconds=deadline_seconds
        )

    def lines(self) -> list[str]:
        """Return the results, and lists that are not what they were; harmless to a terminal."""
        found = [_line(kind, value) for kind, value in self._results()]
        for index, value in self._returned.changed.items():
            if value != self._arguments[index]:
                found.append(f"p{index} = {_line(self._signature.params[index], value)}")
        return list(map(escape_controls, found)) if os.isatty(1) else found

    def document(self) -> dict[str, object]:
        """Return signature, WIT, results and in-out lists by the parameter's index, for ``--json``."""
        changed = {
            str(index): _json(self._signature.params[index], value)
            for index, value in self._returned.changed.items()
        }
        return {
            "signature": self._signature.text,
            "wit": typed_wit_of(self._export, self._signature),
            "results": [_json(kind, value) for kind, value in self._results()],
            "changed": changed,
        }

    def _results(self) -> Sequence[tuple[ValueType, PackedValue]]:
        return list(zip(self._signature.results, self._returned.results, strict=False))


def _parse(text: str) -> Signature:
    try:
        return parse_typed_signature(text)
    except (FormatError, LimitExceeded) as error:
        raise UsageError(f"--signature {error}") from None


def _argument(index: int, kind: ValueType, text: str) -> Argument:
    """Return one argument from its text. Raises `UsageError`."""
    try:
        if isinstance(kind, ScalarType):
            return _slot(kind.letter, parse_number(index, CORE_TYPES[kind.letter], text))
        if isinstance(kind, StringType):
            return pack_text(text)
        if kind.element.letter == _BYTE and text.startswith("@"):
            content = read_argument_file(text[1:])
            return Packed(len(content), content)
        return pack_elements(kind.element, _elements(kind.element, text))
    except FormatError as error:
        raise UsageError(f"argument {index + 1}, a {kind.wit.partition(' ')[0]}: {error}") from None


def _slot(letter: str, value: int | float) -> bytes:
    """Return a number that fits as 8 bytes."""
    element = parse_typed_signature(f"[{letter}>").params[0]
    assert isinstance(element, ListType)  # it was made so
    return pack_elements(element.element, [value]).data.ljust(8, b"\0")


def _elements(element: Element, text: str) -> list[object]:
    """Read a list. Raises `FormatError`."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        raise FormatError("is not a list", found=repr(text[:40]), allowed="JSON such as [1, 2, 3]")
    return [_from_text(element, item) if isinstance(item, str) else item for item in items]


def _from_text(element: Element, item: str) -> object:
    """Return the number in a string, where there is one."""
    if element.letter == "z" or len(item) > 40:
        return item
    try:
        return float(item) if element.letter in "fF" else int(item)
    except ValueError:
        return item


def _line(kind: ValueType, value: PackedValue) -> str:
    found = _json(kind, value)
    if isinstance(found, list):
        return json.dumps([_unquoted(item) for item in found])
    if isinstance(kind, ScalarType) and isinstance(value, bytes):
        return format_result(CORE_TYPES[kind.letter], _number(kind.letter, value))
    return str(found)


def _unquoted(item: int | float | str) -> int | float:
    """Return the number again that JSON would hold as a string."""
    if isinstance(item, str):
        return int(item) if item.lstrip("-").isdigit() else float(item)
    return item


def _json(kind: ValueType, value: PackedValue) -> JsonValue:
    if isinstance(value, bytes):
        assert isinstance(kind, ScalarType)  # a number stands for nothing else
        return json_value(CORE_TYPES[kind.letter], _number(kind.letter, value))
    if isinstance(kind, StringType):
        return unpack_text(value)
    assert isinstance(kind, ListType)  # nothing else is packed
    items = unpack_elements(kind.element, value)
    if kind.element.letter in "IfF":
        name = CORE_TYPES[kind.element.letter]
        return [json_value(name, item) for item in items]
    return list(items)


def _number(letter: str, slot: bytes) -> int | float:
    """Return the number in a slot."""
    element = parse_typed_signature(f"[{letter}>").params[0]
    assert isinstance(element, ListType)  # it was made so
    size = element.size_bytes
    return unpack_elements(element.element, Packed(1, slot[:size]))[0]
