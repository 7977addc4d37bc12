"""``python docs/draw_protocol.py``: write the tables of docs/PROTOCOL.md anew from `lawow.channel`.

Between ``<!-- drawn: NAME -->`` and ``<!-- end -->`` stands what `blocks` returns under that name. A test
compares.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lawow.channel.frames import BULK, Op
from lawow.channel.payloads import PAYLOADS, fields_of
from lawow.channel.states import CALL_ROWS, CHANNEL_ROWS, CONNECTION_ROWS, Row

__all__ = ["blocks", "draw", "main"]

PAGE = Path(__file__).resolve().parent / "PROTOCOL.md"
BLOCK = re.compile(r"(<!-- drawn: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
BULK_FIELDS = {
    Op.CALL: "u32 function, u32 deadline_us, [u32 size,] arguments",
    Op.RESULT: "u32 prepare_us, u32 run_us, [u32 size,] results",
    Op.MESSAGE: "u64 sequence, [u32 size,] value",
    Op.CONTINUE: "payload, at least 1 byte",
}


def blocks() -> dict[str, str]:
    """Return every drawn block by its name."""
    return {
        "operations": _operations(),
        "connection": _states(CONNECTION_ROWS),
        "call": _states(CALL_ROWS),
        "channel": _states(CHANNEL_ROWS),
    }


def draw(page: str) -> str:
    """Return the page with its blocks as they should be."""
    drawn = blocks()
    return BLOCK.sub(lambda match: f"{match[1]}\n{drawn[match[2]]}\n{match[3]}", page)


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(draw(PAGE.read_text()))


def _operations() -> str:
    lines = ["| number | operation | payload |", "|---|---|---|"]
    for op in Op:
        fields = BULK_FIELDS[op] if op in BULK else _fields(op)
        lines.append(f"| {op:#04x} | {op.name} | {fields} |")
    return "\n".join(lines) + "\n"


def _fields(op: Op) -> str:
    return ", ".join(f"{kind} {name}" for name, kind in fields_of(PAYLOADS[op])) or "nothing"


def _states(rows: Sequence[Row[Any]]) -> str:
    lines = ["| state | sender | events | then |", "|---|---|---|---|"]
    for row in rows:
        crossing = " (crossing)" if row.crossing else ""
        lines.append(
            f"| {row.state.value} | {row.sender.value} | {row.events}{crossing} | {row.then.value} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
