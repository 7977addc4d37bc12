"""Reasons name classes and members as Java does."""

from __future__ import annotations

import pytest

from lawow.refactor.readable import in_java


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("calls La/B;->f(Ljava/lang/Object;I[[D)V", "calls a.B.f(Object, int, double[][])"),
        ("calls La/B$C;-><init>()V", "calls a.B$C.<init>()"),
        ("calls [I->clone()Ljava/lang/Object;", "calls int[].clone()"),
        ("reads La/B;->SDK_INT:I, which is not final", "reads a.B.SDK_INT, which is not final"),
        ("reads La/B;->names:[Ljava/lang/String; twice", "reads a.B.names twice"),
        ("takes [Ljava/lang/String;; no", "takes java.lang.String[]; no"),
        ("La/B;->f()V calls Lc/D;->g(J)Lc/D;", "a.B.f() calls c.D.g(long)"),
        ("Locks; Lists are not", "Locks; Lists are not"),
        ("method handles are not translated", "method handles are not translated"),
    ],
)
def test_names_of_the_dex_format_become_javas(text: str, shown: str) -> None:
    assert in_java(text) == shown
