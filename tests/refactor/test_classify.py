"""Names decide what moves, and every class gets a reason."""

from __future__ import annotations

import pytest

from lawow.refactor.classify import ClassRole, Selection, classify, matches_name, module_file_of
from lawow.refactor.rules import parse_rules

OFFLOADABLE, RESIDENT = ClassRole.OFFLOADABLE, ClassRole.RESIDENT


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("com.example.FibonacciWasm", "fibonacci.wasm"),
        ("com.example.InsertionSortWasm", "insertion_sort.wasm"),
        ("FFTWasm", "fft.wasm"),
        ("Sha256Wasm", "sha256.wasm"),
        ("HTTPServerWasm", "http_server.wasm"),
        ("com.example.Outer$BlurWasm", "blur.wasm"),
        ("com.example.Fibonacci", "fibonacci.wasm"),
        ("com.example.Wasm", "wasm.wasm"),
    ],
)
def test_a_class_belongs_to_the_module_of_its_name(name: str, file: str) -> None:
    assert module_file_of(name) == file


@pytest.mark.parametrize(
    ("name", "rule", "expected"),
    [
        ("com.example.FibWasm", "*Wasm", True),
        ("com.example.FibWasm", "com.example.*", True),
        ("com.example.FibWasm", "FibWasm", True),
        ("com.example.Fib", "*Wasm", False),
        ("com.example.WasmFib", "*Wasm", False),
        ("com.example.FibWasm$1", "*Wasm", False),
        ("com.example.Outer$FibWasm", "FibWasm", True),
        ("com.example.Outer$FibWasm", "Outer$FibWasm", True),
        ("com.example.fibwasm", "*Wasm", False),
    ],
)
def test_a_rule_is_compared_with_the_simple_and_the_full_name(name: str, rule: str, expected: bool) -> None:
    assert matches_name(name, rule) is expected


def test_every_class_gets_a_role_and_a_reason() -> None:
    found = classify(
        [("classes.dex", "La/FibWasm;"), ("classes.dex", "La/Main;")], Selection(parse_rules(["*Wasm"]))
    )
    assert [(item.name, item.role, item.reason) for item in found] == [
        ("a.FibWasm", OFFLOADABLE, "its name matches *Wasm"),
        ("a.Main", RESIDENT, "its name matches no rule (*Wasm)"),
    ]


def test_lawows_own_library_never_moves_but_packages_below_it_do() -> None:
    found = classify(
        [("classes.dex", "Ldev/lawow/LocalWasm;"), ("classes.dex", "Ldev/lawow/demo/AWasm;")],
        Selection(parse_rules(["*"])),
    )
    assert [item.role for item in found] == [RESIDENT, OFFLOADABLE]
    assert found[0].reason == "part of LAWOW's own library"


def test_a_class_that_is_bound_by_hand_is_selected() -> None:
    (found,) = classify(
        [("classes.dex", "La/Fib;")], Selection(parse_rules(["*Wasm"]), bound=frozenset({"a.Fib"}))
    )
    assert (found.role, found.reason) == (OFFLOADABLE, "named by --module")


def test_a_class_in_two_dex_files_is_one_class() -> None:
    (found,) = classify(
        [("classes.dex", "La/AWasm;"), ("classes2.dex", "La/AWasm;")], Selection(parse_rules(["*Wasm"]))
    )
    assert found.dex_files == ("classes.dex", "classes2.dex")
