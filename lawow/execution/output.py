"""What a guest writes to its standard output and error: bounded, and harmless to a terminal.

Bytes go through unchanged where they are read by a program. On a terminal, control characters would let a
guest recolour, retitle or overwrite what the user sees, so all but newline and tab are shown as escapes.
"""

from __future__ import annotations

import codecs
import os

from lawow.runtime.hot import CALL

__all__ = ["CapturedOutput", "GuestOutput", "cut_notice", "escape_controls"]


class GuestOutput:
    """Passes the first `limit_bytes` of a guest's output on to a descriptor; `was_cut` tells if more came."""

    def __init__(self, descriptor: int, limit_bytes: int = CALL.output_bytes) -> None:
        self._descriptor = descriptor
        self._left_bytes = limit_bytes
        self._decode = (
            codecs.getincrementaldecoder("utf-8")("backslashreplace").decode
            if os.isatty(descriptor)
            else None
        )
        self.was_cut = False

    def __call__(self, data: bytes) -> None:
        """Take what the guest wrote. Raises `OSError` if nobody reads the descriptor any more."""
        kept = data[: self._left_bytes]
        self._left_bytes -= len(kept)
        self.was_cut = self.was_cut or len(kept) < len(data)
        view = memoryview(kept if self._decode is None else escape_controls(self._decode(kept)).encode())
        while view:
            view = view[os.write(self._descriptor, view) :]


class CapturedOutput:
    """Keeps the first `limit_bytes` of a guest's output for a report."""

    def __init__(self, limit_bytes: int = CALL.output_bytes) -> None:
        self._limit_bytes = limit_bytes
        self._data = bytearray()
        self.was_cut = False

    def __call__(self, data: bytes) -> None:
        """Take what the guest wrote."""
        left = self._limit_bytes - len(self._data)
        self._data += data[:left]
        self.was_cut = self.was_cut or len(data) > left

    def text(self) -> str:
        """Return what was kept; bytes that are not UTF-8 as escapes."""
        return self._data.decode("utf-8", "backslashreplace")


def cut_notice(limit_bytes: int = CALL.output_bytes) -> str:
    """Return what the user is told when an output was cut."""
    return f"the guest's output was cut at {limit_bytes} bytes (output_bytes)"


def escape_controls(text: str) -> str:
    """Return `text` with everything that is not printable, newline or tab as ``\\x1b``-like escapes.

    Directional overrides and zero-width characters count as not printable.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )
