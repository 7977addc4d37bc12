"""WAVE, the text form of component values: numbers, strings, lists, records, options, results, flags.

A value is read by its WIT type (`lawow.formats.wit`) and becomes a plain Python value:

============================  =====================================================================
type                          value
============================  =====================================================================
``bool``, integers, floats    `bool`, `int`, `float`
``char``, ``string``          `str`
``list<u8>``, other lists     `bytes`, `list`
``tuple``, ``record``         `tuple`, `dict` in the order of the fields
``enum``, ``flags``           `str`, `tuple` of names in the order of the type
``variant``, option, result   `Case`: the name of the case and its payload, or None
============================  =====================================================================

Refused: whatever does not fit exactly; numbers out of range, missing or unknown fields, anything after the
value. Reading takes time linear in the text. Source: the component model's ``wasm-wave`` grammar; not read:
its multi-line strings.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.wit import (
    Enumeration,
    Field,
    Flags,
    ListOf,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
    WitType,
    print_type,
)

__all__ = ["Case", "Value", "cases_of", "parse_wave", "print_wave", "to_json"]


@dataclass(frozen=True, slots=True)
class Case:
    """A case of a variant (an option: ``some``, ``none``; a result: ``ok``, ``err``) and its payload."""

    name: str
    payload: Value | None = None


Value = bool | int | float | str | bytes | Sequence["Value"] | Mapping[str, "Value"] | Case

INTEGERS = {
    f"{sign}{bits}": (-(1 << (bits - 1)) if sign == "s" else 0, (1 << (bits - (sign == "s"))) - 1)
    for sign in "su"
    for bits in (8, 16, 32, 64)
}
"""Integer type -> (smallest, largest)."""

_LARGEST_CHARACTERS = 16 << 20
_LONGEST_NUMBER = 400
_SPACE = re.compile(r"(?:[ \t\r\n]|//[^\n]*)*")
_INTEGER = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_LABEL = re.compile(r"%?[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*")
_PLAIN = re.compile(r'[^"\\\n]+')
_ESCAPE = re.compile(r"\\(?:([tnr'\"\\])|u\{([0-9A-Fa-f]{1,6})\})")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "'": "'", '"': '"', "\\": "\\"}
_FLOAT_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_KEYWORDS = frozenset(("true", "false", "some", "none", "ok", "err", "inf", "nan"))
_SAFE_INTEGER = 1 << 53


def cases_of(item: WitType) -> tuple[Field, ...]:
    """Return the cases of a variant, an option or a result; none for another type."""
    match item:
        case Variant(cases):
            return cases
        case Option(payload):
            return (Field("none", None), Field("some", payload))
        case Result(ok, error):
            return (Field("ok", ok), Field("err", error))
    return ()


def parse_wave(text: str, item: WitType) -> Value:
    """Read one value of type `item`. Raises `FormatError` that names the place and what is allowed."""
    if len(text) > _LARGEST_CHARACTERS:
        raise FormatError("the value is too long", found=len(text), allowed=_LARGEST_CHARACTERS)
    reader = _Reader(text)
    value = reader.value(item)
    reader.end()
    return value


class _Reader:
    """A cursor over the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0
        self._skip()

    # -- characters

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._offset)
        self._offset = match.end() if match else self._offset

    def _fail(self, message: str, item: WitType | None = None, allowed: str | None = None) -> FormatError:
        found = self._text[self._offset : self._offset + 20]
        kind = allowed or (print_type(item) if item is not None else None)
        return FormatError(
            message, offset=self._offset, found=repr(found) if found else "the end", allowed=kind
        )

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self._text, self._offset)
        if match is None:
            return None
        self._offset = match.end()
        return match.group()

    def _take(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._offset):
            return False
        self._offset += len(sign)
        self._skip()
        return True

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise self._fail("the value does not go on so", allowed=sign)

    def _label(self) -> str:
        label = self._match(_LABEL)
        if label is None:
            raise self._fail("is no name")
        self._skip()
        return label.removeprefix("%")

    def end(self) -> None:
        if self._offset != len(self._text):
            raise self._fail("something follows the value")

    # -- values

    def value(self, item: WitType) -> Value:
        match item:
            case Primitive(name):
                value = self._primitive(name, item)
                self._skip()
                return value
            case ListOf(element):
                return self._list(element)
            case Tuple(items):
                return self._tuple(items, item)
            case Record(fields):
                return self._record(fields, item)
            case Flags(names):
                return self._flags(names, item)
            case Enumeration(names):
                return self._choice(names, item)
            case Option() | Result():
                return self._option_or_result(item)
            case Variant(cases):
                name = self._choice(tuple(case.name for case in cases), item)
                return self._case(name, item)

    def _primitive(self, name: str, item: WitType) -> Value:
        if name in INTEGERS:
            return self._integer(name, item)
        if name in ("f32", "f64"):
            return self._float(name, item)
        if name == "bool":
            word = self._match(_LABEL)
            if word not in ("true", "false"):
                raise self._fail("is no bool", allowed="true or false")
            return word == "true"
        return self._character() if name == "char" else self._string()

    def _integer(self, name: str, item: WitType) -> int:
        start = self._offset
        digits = self._match(_INTEGER)
        if digits is None or len(digits) > _LONGEST_NUMBER:
            self._offset = start
            raise self._fail("is no integer", item)
        number, (lowest, highest) = int(digits), INTEGERS[name]
        if not lowest <= number <= highest:
            raise FormatError(
                f"is out of range for {name}", found=digits[:40], allowed=f"{lowest} to {highest}"
            )
        return number

    def _float(self, name: str, item: WitType) -> float:
        for word, special in _FLOAT_WORDS.items():
            if self._text.startswith(word, self._offset):
                self._offset += len(word)
                return special
        start = self._offset
        digits = self._match(_FLOAT)
        if digits is None or len(digits) > _LONGEST_NUMBER:
            self._offset = start
            raise self._fail("is no number", item)
        number = float(digits)
        if math.isinf(number) or (name == "f32" and not _fits_f32(number)):
            raise FormatError(f"is out of range for {name}", found=digits[:40], allowed="inf is written so")
        return _rounded(number) if name == "f32" else number

    def _escape(self) -> str:
        match = _ESCAPE.match(self._text, self._offset)
        if match is None:
            raise self._fail("is no escape", allowed="\\t \\n \\r \\' \\\" \\\\ \\u{...}")
        number = int(match.group(2) or "0", 16)
        if number > 0x10FFFF or 0xD800 <= number < 0xE000:
            raise self._fail("is no character", allowed="a Unicode scalar value")
        self._offset = match.end()
        return _ESCAPES[match.group(1)] if match.group(1) else chr(number)

    def _character(self) -> str:
        self._need_quote("'")
        letter = self._text[self._offset : self._offset + 1]
        if letter == "\\":
            letter = self._escape()
        elif letter in ("", "'", "\n") or 0xD800 <= ord(letter) < 0xE000:
            raise self._fail("is no character")
        else:
            self._offset += 1
        self._need_quote("'")
        return letter

    def _need_quote(self, quote: str) -> None:
        if not self._text.startswith(quote, self._offset):
            raise self._fail("a quotation mark is missing", allowed=quote)
        self._offset += 1

    def _string(self) -> str:
        self._need_quote('"')
        parts: list[str] = []
        while not self._text.startswith('"', self._offset):
            part = self._match(_PLAIN)
            if part is None and not self._text.startswith("\\", self._offset):
                raise self._fail("the string does not end", allowed='"')
            parts.append(self._escape() if part is None else part)
        self._offset += 1
        text = "".join(parts)
        if any(0xD800 <= ord(letter) < 0xE000 for letter in text):
            raise FormatError("the string has a lone surrogate", allowed="Unicode scalar values")
        return text

    def _separated(self, end: str) -> bool:
        """Return whether another element follows; take the comma or the end."""
        if self._take(end):
            return False
        self._need(",")
        return not self._take(end)

    def _list(self, element: WitType) -> Value:
        self._need("[")
        items: list[Value] = []
        more = not self._take("]")
        while more:
            items.append(self.value(element))
            more = self._separated("]")
        if element == Primitive("u8"):
            return bytes(number for number in items if isinstance(number, int))
        return items

    def _tuple(self, types: tuple[WitType, ...], item: WitType) -> Value:
        self._need("(")
        items: list[Value] = []
        for position, inner in enumerate(types):
            if position:
                self._need(",")
            items.append(self.value(inner))
        self._take(",")
        if not self._take(")"):
            raise self._fail("the tuple is longer than its type", item)
        return tuple(items)

    def _record(self, fields: tuple[Field, ...], item: WitType) -> Value:
        types = {field.name: field.type for field in fields}
        given: dict[str, Value] = {}
        self._need("{")
        more = not self._take("}")
        if more and self._take(":"):
            self._need("}")
            more = False
        while more:
            name = self._label()
            kind = types.get(name)
            if kind is None or name in given:
                raise self._fail(f"the field {name!r} is unknown or stands twice", item)
            self._need(":")
            given[name] = self.value(kind)
            more = self._separated("}")
        for name, kind in types.items():
            if name not in given and not isinstance(kind, Option):
                raise self._fail(f"the field {name!r} is missing", item)
        return {name: given.get(name, Case("none")) for name in types}

    def _flags(self, names: tuple[str, ...], item: WitType) -> Value:
        self._need("{")
        given: set[str] = set()
        more = not self._take("}")
        while more:
            given.add(self._choice(names, item))
            more = self._separated("}")
        return tuple(name for name in names if name in given)

    def _choice(self, names: tuple[str, ...], item: WitType) -> str:
        start = self._offset
        label = self._match(_LABEL)
        name = (label or "").removeprefix("%")
        if name not in names:
            self._offset = start
            raise self._fail("is none of the names", allowed=", ".join(names[:20]) or print_type(item))
        self._skip()
        return name

    def _option_or_result(self, item: Option | Result) -> Value:
        """Read ``some(x)``, ``none``, ``ok(x)``, ``err(x)``, or a payload alone: ``some`` or ``ok``."""
        start = self._offset
        label = self._match(_LABEL)
        if label in [case.name for case in cases_of(item)]:
            self._skip()
            return self._case(label, item)
        self._offset = start
        main = item.payload if isinstance(item, Option) else item.ok
        if main is None or isinstance(main, Option | Result):
            raise self._fail("is no value of this type", item)
        return Case("some" if isinstance(item, Option) else "ok", self.value(main))

    def _case(self, name: str, item: WitType) -> Value:
        payload = next(case.type for case in cases_of(item) if case.name == name)
        if payload is None:
            return Case(name)
        self._need("(")
        value = self.value(payload)
        self._need(")")
        return Case(name, value)


def _fits_f32(number: float) -> bool:
    try:
        struct.pack("<f", number)
    except OverflowError:
        return False
    return True


def _rounded(number: float) -> float:
    (rounded,) = struct.unpack("<f", struct.pack("<f", number))
    return float(rounded)


# ---- printing


def print_wave(value: Value, item: WitType) -> str:
    """Return the text that `parse_wave` reads as the same value. The value must be of the type."""
    match item:
        case Primitive("bool"):
            return "true" if value else "false"
        case Primitive("f32" | "f64" as name):
            return _print_float(value, name) if isinstance(value, float) else str(value)
        case Primitive("string"):
            return f'"{_escaped(str(value), chr(34))}"'
        case Primitive("char"):
            return f"'{_escaped(str(value), chr(39))}'"
        case Primitive():
            return str(value)
        case ListOf(element) if isinstance(value, Sequence):
            return f"[{', '.join(print_wave(inner, element) for inner in value)}]"
        case Tuple(items) if isinstance(value, Sequence):
            return f"({', '.join(print_wave(inner, kind) for inner, kind in zip(value, items, strict=True))})"
        case Record(fields) if isinstance(value, Mapping):
            pairs = [
                f"{_name(field.name)}: {print_wave(value[field.name], _known(field))}" for field in fields
            ]
            return f"{{{', '.join(pairs)}}}" if pairs else "{:}"
        case Flags() if isinstance(value, Sequence):
            return f"{{{', '.join(_name(str(name)) for name in value)}}}"
        case Enumeration():
            return _name(str(value))
    if isinstance(value, Case):
        return _print_case(value, item)
    raise TypeError(f"{value!r} is no {print_type(item)}")


def _print_case(value: Case, item: WitType) -> str:
    payload = next(case.type for case in cases_of(item) if case.name == value.name)
    name = _name(value.name) if isinstance(item, Variant) else value.name
    return name if payload is None else f"{name}({print_wave(_payload(value), payload)})"


def _payload(value: Case) -> Value:
    if value.payload is None:
        raise TypeError(f"the case {value.name} has no payload")
    return value.payload


def _known(field: Field) -> WitType:
    if field.type is None:
        raise TypeError(f"the field {field.name} has no type")
    return field.type


def _name(name: str) -> str:
    return f"%{name}" if name in _KEYWORDS else name


def _print_float(number: float, name: str) -> str:
    if not math.isfinite(number):
        return "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"
    if name == "f32":
        for digits in range(1, 10):
            text = f"{number:.{digits}g}"
            if _fits_f32(float(text)) and _rounded(float(text)) == number:
                return repr(float(text))
    return repr(number)


def _escaped(text: str, quote: str) -> str:
    """Return the inside of a literal; what cannot be printed becomes an escape."""
    words = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\", quote: f"\\{quote}"}
    return "".join(
        words[letter] if letter in words else letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}"
        for letter in text
    )


def to_json(value: Value, item: WitType) -> object:
    """Return a value as JSON holds it: records as objects, options as null, other cases as ``{name: ...}``.

    Integers beyond 2 to the 53rd, infinities and NaN become strings; ``list<u8>`` a list of numbers.
    """
    match item:
        case Primitive() if isinstance(value, bool | int | float | str):
            return _json_scalar(value)
        case ListOf(element) if isinstance(value, Sequence):
            return [to_json(inner, element) for inner in value]
        case Tuple(items) if isinstance(value, Sequence):
            return [to_json(inner, kind) for inner, kind in zip(value, items, strict=True)]
        case Record(fields) if isinstance(value, Mapping):
            return {field.name: to_json(value[field.name], _known(field)) for field in fields}
        case Flags() if isinstance(value, Sequence):
            return list(value)
        case Enumeration():
            return value
    if not isinstance(value, Case):
        raise TypeError(f"{value!r} is no {print_type(item)}")
    payload = next(case.type for case in cases_of(item) if case.name == value.name)
    inner = None if payload is None else to_json(_payload(value), payload)
    if isinstance(item, Option) and not isinstance(item.payload, Option):
        return inner
    return {value.name: inner}


def _json_scalar(value: bool | int | float | str) -> object:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if -_SAFE_INTEGER <= value <= _SAFE_INTEGER else str(value)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
