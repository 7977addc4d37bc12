"""The values of calls with strings and lists as Python and JSON hold them.

In both, a string is a string and a list a list; numbers are those of `lawow.channel.values`, and the elements
of a list of booleans are booleans. Python says that two parameters are one list by giving the same list
object twice; JSON says it by ``{"same_as": N}`` with the index of the earlier parameter. Only `FormatError`
escapes.
Defined by docs/edge.md, "Values".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lawow.channel.values import (
    decode_slots,
    encode_slots,
    json_of_values,
    number_of_json,
    values_of_json,
)
from lawow.errors import FormatError
from lawow.formats.elements import (
    Argument,
    Packed,
    PackedValue,
    Returned,
    SameAs,
    pack_elements,
    pack_text,
    unpack_elements,
    unpack_text,
)
from lawow.formats.signature import ListType, ScalarType, Signature, StringType, ValueType

__all__ = [
    "Value",
    "arguments_of_json",
    "arguments_of_values",
    "json_of_returned",
    "values_of_returned",
]

Value = int | float | str | Sequence[int] | Sequence[float]
"""A number, a string, or a list of numbers."""

SAME_AS = "same_as"
JsonItem = int | float | str | list[int | float | str]


def arguments_of_values(signature: Signature, values: Sequence[Value]) -> tuple[Argument, ...]:
    """Return Python's values as arguments; a list object that is given twice stays one list."""
    return _arguments(signature, values, _of_python, _same_object)


def arguments_of_json(signature: Signature, items: object) -> tuple[Argument, ...]:
    """Return a list from a JSON reader as arguments."""
    if not isinstance(items, list):
        raise FormatError("the arguments must be a list", found=type(items).__name__)
    return _arguments(signature, items, _of_json, _same_named)


def values_of_returned(
    signature: Signature, returned: Returned
) -> tuple[tuple[Value, ...], dict[int, list[int | float]]]:
    """Return results and changed lists as Python's values."""
    results = [_to_python(kind, item) for kind, item in zip(signature.results, returned.results, strict=True)]
    changed = {index: _elements(signature.params[index], item) for index, item in returned.changed.items()}
    return tuple(results), changed


def json_of_returned(
    signature: Signature, returned: Returned
) -> tuple[list[JsonItem], dict[str, list[int | float | str]]]:
    """Return results and changed lists (by the parameter's index as text) as JSON can hold them."""
    results = [_to_json(kind, item) for kind, item in zip(signature.results, returned.results, strict=True)]
    changed = {
        str(index): _json_elements(signature.params[index], item) for index, item in returned.changed.items()
    }
    return results, changed


Convert = Callable[[ValueType, object], Argument]
FindSame = Callable[[Sequence[object], int], int | None]


def _arguments(
    signature: Signature, values: Sequence[object], convert: Convert, find_same: FindSame
) -> tuple[Argument, ...]:
    """Convert all, naming the parameter that does not fit; lists that `find_same` finds become aliases."""
    if len(values) != len(signature.params):
        raise FormatError("wrong number of arguments", found=len(values), allowed=len(signature.params))
    found: list[Argument] = []
    for index, (kind, value) in enumerate(zip(signature.params, values, strict=True)):
        try:
            earlier = find_same(values, index) if isinstance(kind, ListType) else None
            if earlier is not None and signature.params[earlier] != kind:
                raise FormatError("the same list as a parameter of another type", found=earlier)
            found.append(convert(kind, value) if earlier is None else _first(found, earlier))
        except FormatError as error:
            raise _within(error, index, isinstance(kind, ListType)) from None
    return tuple(found)


def _first(found: Sequence[Argument], earlier: int) -> SameAs:
    """Return the alias of the parameter that is the list itself."""
    root = found[earlier]
    return root if isinstance(root, SameAs) else SameAs(earlier)


def _same_object(values: Sequence[object], index: int) -> int | None:
    """Return the earlier parameter that is the same mutable object; equal constants are not the same list."""
    value = values[index]
    if isinstance(value, tuple | bytes | str):
        return None
    return next((earlier for earlier in range(index) if values[earlier] is value), None)


def _same_named(values: Sequence[object], index: int) -> int | None:
    value = values[index]
    if not isinstance(value, dict):
        return None
    earlier = value.get(SAME_AS)
    if len(value) != 1 or type(earlier) is not int or not 0 <= earlier < index:
        raise FormatError("does not name an earlier parameter", allowed=f'{{"{SAME_AS}": N}}')
    return earlier


def _of_python(kind: ValueType, value: object) -> Argument:
    if isinstance(kind, ScalarType):
        return encode_slots(kind.letter, [value])  # type: ignore[list-item]  # what does not fit is refused
    if isinstance(kind, StringType):
        return pack_text(_text(value))
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _wrong_kind(kind, value)
    return pack_elements(kind.element, value)


def _of_json(kind: ValueType, item: object) -> Argument:
    if isinstance(kind, ScalarType):
        return encode_slots(kind.letter, values_of_json(kind.letter, [item]))
    if isinstance(kind, StringType):
        return pack_text(_text(item))
    if not isinstance(item, list):
        raise _wrong_kind(kind, item)
    letter = kind.element.letter
    if letter != "z" and any(type(element) is str for element in item):
        as_scalar = {"f": "f", "F": "F"}.get(letter, "I")
        item = [
            number_of_json(as_scalar, index, element) if type(element) is str else element
            for index, element in enumerate(item)
        ]
    return pack_elements(kind.element, item)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise FormatError("does not fit", found=type(value).__name__, allowed="string")
    return value


def _wrong_kind(kind: ListType, value: object) -> FormatError:
    return FormatError("does not fit", found=type(value).__name__, allowed=kind.wit)


def _within(error: FormatError, index: int, is_list: bool) -> FormatError:
    """Return the error with the argument's index in front of the place within it."""
    inner = f": element[{error.index}]" if is_list and error.index is not None else ""
    place = f"arguments[{index}]{inner}"
    return FormatError(error.message, structure=place, found=error.found, allowed=error.allowed)


def _to_python(kind: ValueType, item: PackedValue) -> Value:
    if isinstance(item, bytes):
        assert isinstance(kind, ScalarType)  # a number stands for nothing else
        return decode_slots(kind.letter, item)[0]
    return unpack_text(item) if isinstance(kind, StringType) else _elements(kind, item)


def _elements(kind: ValueType, item: Packed) -> list[int | float]:
    assert isinstance(kind, ListType)  # a string is handled before
    return unpack_elements(kind.element, item)


def _to_json(kind: ValueType, item: PackedValue) -> JsonItem:
    if isinstance(item, bytes):
        assert isinstance(kind, ScalarType)  # a number stands for nothing else
        return json_of_values(kind.letter, decode_slots(kind.letter, item))[0]
    return unpack_text(item) if isinstance(kind, StringType) else _json_elements(kind, item)


def _json_elements(kind: ValueType, item: Packed) -> list[int | float | str]:
    """Return the elements as they are, unless some of them are nothing that JSON can hold exactly."""
    assert isinstance(kind, ListType)  # a string is handled before
    elements = unpack_elements(kind.element, item)
    letter = kind.element.letter
    if letter == "I" or (letter in "fF" and not all(map(math.isfinite, elements))):
        return json_of_values(letter * len(elements), elements)
    return list(elements)
