"""Classes whose objects have state: when the state can be the module's, and what is refused."""

from __future__ import annotations

import re

import pytest

from lawow.errors import Refused
from lawow.formats.apk import read_app
from lawow.refactor.plan import PlanOptions, SplitPlan, make_plan
from tests.refactor.builders import CONSTRUCTOR, smali_class, smali_method, wasm
from tests.refactor.conftest import BuildApp

COUNTER = "Lcom/example/CounterWasm;"
MODULE = wasm({"add": "i>i", "reset": ">"})
FIELD = ".field private total:I\n"
GETTER = f"    iget v0, p0, {COUNTER}->total:I\n    return v0"
SETTER = f"    iput p1, p0, {COUNTER}->total:I\n    return-void"
ADD = smali_method(
    "add",
    "(I)I",
    f"    iget v0, p0, {COUNTER}->total:I\n    add-int v0, v0, p1\n    iput v0, p0, {COUNTER}->total:I\n"
    "    return v0",
    flags="public",
)
CONSTRUCTOR_WITH_START = smali_method(
    "<init>",
    "(I)V",
    f"    invoke-direct {{p0}}, Ljava/lang/Object;-><init>()V\n{SETTER}",
    flags="public constructor",
)


def plan(build_app: BuildApp, members: str, **head: str) -> SplitPlan:
    apk = build_app(
        [smali_class("com.example.CounterWasm", members, **head)], entries={"assets/counter.wasm": MODULE}
    )
    return make_plan(read_app(apk, name="app.apk"), PlanOptions())


def test_state_that_only_moved_methods_use_moves_with_them(build_app: BuildApp) -> None:
    reset = smali_method("reset", "()V", SETTER.replace("p1", "v0"), flags="public").replace(
        "    iput v0", "    const/4 v0, 0\n    iput v0"
    )
    moved = plan(build_app, FIELD + CONSTRUCTOR + ADD + reset).methods
    assert {item.method for item in moved} == {"add", "reset"}


def test_a_private_helper_of_moved_methods_goes_with_them(build_app: BuildApp) -> None:
    helper = smali_method("bump", "(I)V", SETTER, flags="private")
    add = smali_method(
        "add",
        "(I)I",
        f"    invoke-direct {{p0, p1}}, {COUNTER}->bump(I)V\n    return p1",
        flags="public",
    )
    assert plan(build_app, FIELD + CONSTRUCTOR + helper + add).methods[0].method == "add"


REFUSED = {
    "kept method": (
        FIELD + CONSTRUCTOR + ADD + smali_method("get", "()I", GETTER, flags="public"),
        "com.example.CounterWasm.get()I uses the field total, whose value moves to counter.wasm",
    ),
    "kept caller of a helper": (
        FIELD
        + CONSTRUCTOR
        + smali_method("bump", "(I)V", SETTER, flags="private")
        + smali_method(
            "add",
            "(I)I",
            f"    invoke-direct {{p0, p1}}, {COUNTER}->bump(I)V\n{GETTER}",
            flags="public",
        )
        + smali_method(
            "start",
            "()V",
            f"    const/4 v0, 1\n    invoke-direct {{p0, v0}}, {COUNTER}->bump(I)V\n    return-void",
            flags="public",
        ),
        "com.example.CounterWasm.bump(I)V uses the field total",
    ),
    "constructor": (
        FIELD + CONSTRUCTOR_WITH_START + ADD,
        "com.example.CounterWasm.<init>(I)V takes arguments and sets the field total",
    ),
    "native": (
        FIELD + CONSTRUCTOR_WITH_START + ".method public native add(I)I\n.end method\n",
        "takes arguments and may set what com.example.CounterWasm.add(I)I uses",
    ),
    "public field": (
        FIELD.replace("private", "public") + CONSTRUCTOR + ADD,
        "the field total is not private",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_state_that_others_share_is_refused(build_app: BuildApp, case: str) -> None:
    members, sentence = REFUSED[case]
    with pytest.raises(Refused, match=re.escape(sentence)):
        plan(build_app, members)
