"""The small app of the refactor tests, to be spoiled."""

from __future__ import annotations

from tests.refactor.conftest import build_app, key

__all__ = ["build_app", "key"]
