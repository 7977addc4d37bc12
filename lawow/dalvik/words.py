"""The word in front of every array, string and object: what it is, for code that knows no types.

::

    bits 0-1    size of an element as a power of two; fields are 8 bytes each, widened
    bits 2-13   how many elements, from the first, are references; 0xFFF for all
    bit 14      an object of the app, which can be made nowhere else
    bit 15      in a graph: it may have changed when the call is over
    bits 16-30  number of the type: fixed for strings and arrays of numbers, the module's own for others
"""

from __future__ import annotations

__all__ = ["ALL_REFERENCES", "BASIC_WORDS", "FIRST_NUMBER", "IS_OBJECT", "IS_WRITTEN", "STRING", "type_word"]

STRING = "Ljava/lang/String;"

ALL_REFERENCES = 0xFFF
IS_OBJECT, IS_WRITTEN = 1 << 14, 1 << 15
FIRST_NUMBER, _LAST_NUMBER = 16, 0x7FFF


def type_word(number: int, shift: int, references: int = 0) -> int:
    """Return the word of a type. Raises `ValueError` for what does not fit."""
    if number > _LAST_NUMBER or references > ALL_REFERENCES:
        raise ValueError(f"type {number} with {references} references")
    return number << 16 | references << 2 | shift


BASIC_WORDS = {
    **{f"[{kind}": type_word(number, (number - 1) // 2) for number, kind in enumerate("ZBCSIFJD", 1)},
    STRING: type_word(9, 1),
}
"""Words that mean the same in every module."""
