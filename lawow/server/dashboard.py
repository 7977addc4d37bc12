"""The dashboard's page, as it lies in the package, and the policy that a browser enforces on it.

The page runs the one script and the one style sheet that are in it, known to the browser by their SHA-256,
and talks to its own edge; it loads nothing else, and text can never become markup (Trusted Types).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Page"]

FILE = Path(__file__).with_name("page") / "dashboard.html"


class Page:
    """The page and its headers."""

    def __init__(self) -> None:
        self.html = FILE.read_bytes()
        self.headers = {
            "Content-Security-Policy": _policy(self.html.decode()),
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
        }


def _policy(html: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(_hashes(html, 'script'))}",
            f"style-src {' '.join(_hashes(html, 'style'))}",
            "img-src data:",  # the icon, without which browsers ask for /favicon.ico
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hashes(html: str, element: str) -> Iterator[str]:
    """Return a source expression for each element of that name; its text is hashed as it stands."""
    for text in re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        yield f"'sha256-{digest}'"
