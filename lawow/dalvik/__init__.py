"""Static methods of Android apps as WebAssembly: from Dalvik bytecode, without source.

    program = Program([read_dex(data)])
    examine(program, ref)                 callees, loops, and the reason if the method cannot be translated
    translation = translate(program, refs)
    translation.wasm, translation.wit, translation.exports[ref].signature

What is translated means exactly what Java means, to the last bit; everything else is refused by name.
The table of instructions and the calling convention are in docs/dalvik.md.
"""

from __future__ import annotations

from lawow.dalvik.api import (
    Examined,
    ExportedMethod,
    Graph,
    GraphField,
    GraphType,
    Parameter,
    Translation,
    Untranslatable,
)
from lawow.dalvik.program import Program
from lawow.dalvik.translator import examine, translate

__all__ = [
    "Examined",
    "ExportedMethod",
    "Graph",
    "GraphField",
    "GraphType",
    "Parameter",
    "Program",
    "Translation",
    "Untranslatable",
    "examine",
    "translate",
]
