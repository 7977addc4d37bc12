"""Kept modules: what is kept is what would be built, and what cannot be built says how to."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from lawow.build.kept import kept_module
from lawow.build.modules import build_module
from lawow.build.sources import find_sources
from lawow.errors import UsageError

SOURCE = """
#include "lawow.h"
LAWOW_OFFLOAD int sum(LAWOW_LIST(int, values)) { return (int) values_count + values[0]; }
"""


def test_a_kept_module_is_the_built_one_and_is_not_built_twice(tmp_path: Path) -> None:
    (tmp_path / "sum.c").write_text(SOURCE)
    sources, heard = find_sources(tmp_path / "sum.c"), []
    built = [kept_module(sources, "sum", tmp_path / "kept", heard.append) for _ in range(2)]
    assert built == [build_module(sources, "sum").wasm] * 2
    assert len(heard) == 1


def test_what_only_the_interface_sees_makes_another_module(tmp_path: Path) -> None:
    heard: list[str] = []
    for name in ("values", "numbers"):  # a name of a parameter, which stands in the WIT alone
        (tmp_path / "sum.c").write_text(SOURCE.replace("values", name))
        module = kept_module(find_sources(tmp_path / "sum.c"), "sum", tmp_path / "kept", heard.append)
        assert f"{name}: list<s32>".encode() in module
    assert len(heard) == 2


def test_without_the_compiler_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sum.c").write_text(SOURCE)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'lawow\[build\]'"):
        kept_module(find_sources(tmp_path / "sum.c"), "sum", tmp_path / "kept")
