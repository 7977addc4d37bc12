"""Classes are selected by rule, exclusion, annotation, list, mapping and correction, in a fixed order."""

from __future__ import annotations

import pytest

from lawow.errors import Refused, UsageError
from lawow.formats.apk import read_app
from lawow.formats.mapping import read_mapping
from lawow.refactor.binding import ModuleChoice
from lawow.refactor.correction import read_corrections
from lawow.refactor.effects import ACCEPTABLE
from lawow.refactor.plan import PlanOptions, SplitPlan, make_plan
from lawow.refactor.rules import annotation_descriptor, matches_name, parse_rule, read_class_list
from tests.refactor.builders import FIB, NATIVE_FIB, smali_class, wasm
from tests.refactor.conftest import FIBONACCI, BuildApp

FIB_CLASS = "com.example.app.FibonacciWasm"
OTHER = smali_class("com.example.app.OtherWasm", NATIVE_FIB)
MODULES = {"assets/fibonacci.wasm": FIB, "assets/other.wasm": FIB}


def plan(data: bytes, options: PlanOptions) -> SplitPlan:
    return make_plan(read_app(data, name="app.apk"), options)


def reasons(found: SplitPlan) -> dict[str, str]:
    return {item.name.rpartition(".")[2]: item.reason for item in found.classes}


def moved(found: SplitPlan) -> list[str]:
    return [move.classified.name.rpartition(".")[2] for move in found.moves]


@pytest.fixture(scope="module")
def two(build_app: BuildApp) -> bytes:
    return build_app([FIBONACCI, OTHER], entries=MODULES)


@pytest.mark.parametrize(
    ("rule", "name", "expected"),
    [
        (r"re:.*Wasm", "a.FibWasm", True),
        (r"re:com\.(example|test)\.Fib", "com.test.Fib", True),
        (r"re:Fib", "com.test.Fib", True),
        (r"re:Fib", "com.test.Fibb", False),
        (r"re:B", "com.test.A$B", True),
        (r"re:(?i)fib", "a.FIB", True),
        ("A[BC]", "x.AC", True),
        ("A[BC]", "x.AD", False),
        ("A?", "x.AD", True),
    ],
)
def test_a_rule_is_a_glob_or_a_regular_expression(rule: str, name: str, expected: bool) -> None:
    assert matches_name(name, rule) is expected


@pytest.mark.parametrize("text", ["", "re:", "re:(", "re:[z-a]", "re:a**"])
def test_a_rule_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--rule"):
        parse_rule(text)


def test_exclusions_beat_rules_lists_and_bindings(two: bytes) -> None:
    for options in (
        PlanOptions(exclude=("Other*",)),
        PlanOptions(classes=(FIB_CLASS, "com.example.app.OtherWasm"), exclude=("re:.*[.]OtherWasm",)),
        PlanOptions(modules=(ModuleChoice("OtherWasm", "o.wasm", FIB),), exclude=("OtherWasm",)),
    ):
        found = plan(two, options)
        assert moved(found) == ["FibonacciWasm"]
        assert reasons(found)["OtherWasm"].startswith("excluded by ")


def test_a_list_names_classes_exactly(two: bytes) -> None:
    found = plan(two, PlanOptions(rules=(), classes=("com.example.app.OtherWasm",)))
    assert moved(found) == ["OtherWasm"]
    assert reasons(found) == {
        "FibonacciWasm": "nothing selects it (@dev.lawow.Offload, a list of classes)",
        "OtherWasm": "it stands in the list of classes",
    }
    with pytest.raises(UsageError, match=r"no class com\.example\.app\.OtherWsm \(did you mean .*OtherWasm"):
        plan(two, PlanOptions(classes=("com.example.app.OtherWsm",)))


def test_a_list_has_one_name_in_each_line() -> None:
    data = "# chosen\n\ncom.example.A  # why\nLcom/example/B$C;\r\ncom/example/D\ncom.example.A\n"
    assert read_class_list(data.encode(), name="l.txt") == (
        "com.example.A",
        "com.example.B$C",
        "com.example.D",
    )
    for bad in (b"a b\n", b"\xff\xfe", b"# nothing\n", b"[I\n", b"a..b\n"):
        with pytest.raises(UsageError, match=r"l\.txt"):
            read_class_list(bad, name="l.txt")


ON_CLASS = ".annotation runtime Lcom/example/Edge;\n.end annotation\n"


def test_annotations_select_classes_and_classes_of_methods(build_app: BuildApp) -> None:
    marked = smali_class("com.example.app.Fibonacci", NATIVE_FIB, extra=ON_CLASS)
    method = (
        ".method public static native fib(I)I\n    .annotation build Ldev/lawow/Offload;\n"
        "    .end annotation\n.end method\n"
    )
    by_method = smali_class("com.example.app.Other", method)
    plain = smali_class("com.example.app.Plain", NATIVE_FIB)
    data = build_app([marked, by_method, plain], entries=MODULES)
    found = plan(data, PlanOptions())
    assert moved(found) == ["Other"]
    assert reasons(found)["Other"] == "annotated with @dev.lawow.Offload"
    found = plan(data, PlanOptions(rules=(), annotations=(annotation_descriptor("com.example.Edge"),)))
    assert moved(found) == ["Fibonacci"]
    with pytest.raises(Refused, match=r"none of its 3 classes is selected by @com\.example\.None"):
        plan(data, PlanOptions(rules=(), annotations=("Lcom/example/None;",)))


@pytest.mark.parametrize("text", ["@dev.lawow.Offload", "dev.lawow.Offload", "Ldev/lawow/Offload;"])
def test_an_annotation_is_named_as_people_do(text: str) -> None:
    assert annotation_descriptor(text) == "Ldev/lawow/Offload;"
    with pytest.raises(UsageError, match="--annotation"):
        annotation_descriptor("not a name")


MAPPING = b"""com.example.app.FibonacciWasm -> a.a:
    1:1:int fib(int):5:5 -> b
com.example.app.Main -> a.b:
"""


def test_rules_and_exports_speak_original_names_with_a_mapping(build_app: BuildApp) -> None:
    native = ".method public static native b(I)I\n.end method\n"
    data = build_app([smali_class("a.a", native), smali_class("a.b")])
    with pytest.raises(Refused, match="with its --mapping rules speak of the original names"):
        plan(data, PlanOptions())
    found = plan(data, PlanOptions(mapping=read_mapping(MAPPING)))
    (move,) = found.moves
    assert move.classified.shown == "com.example.app.FibonacciWasm (a.a)"
    assert [(item.class_name, item.method, item.export) for item in move.methods] == [("a.a", "b", "fib")]
    assert [item.shown for item in found.classes][1] == "com.example.app.Main (a.b)"


def correct(text: str, **options: object) -> PlanOptions:
    corrections = read_corrections(text.encode(), name="lawow.toml", findings=ACCEPTABLE)
    return PlanOptions(corrections=corrections, **options)  # type: ignore[arg-type]


def test_the_correction_file_overrules_all(two: bytes, build_app: BuildApp) -> None:
    found = plan(two, correct('[classes]\nresident = ["OtherWasm"]'))
    assert moved(found) == ["FibonacciWasm"]
    assert reasons(found)["OtherWasm"] == "lawow.toml keeps OtherWasm on the device"
    text = '[classes]\noffloadable = ["re:.*OtherWasm"]'
    found = plan(two, correct(text, exclude=("*",)))
    assert moved(found) == ["OtherWasm"]
    assert reasons(found)["OtherWasm"] == "lawow.toml says that re:.*OtherWasm is offloadable"


def test_a_correction_that_names_nothing_is_an_error(two: bytes) -> None:
    with pytest.raises(UsageError, match=r"lawow\.toml: resident OtherWsm: the app has no such class"):
        plan(two, correct('[classes]\nresident = ["OtherWsm"]'))


def test_everything_has_a_role_and_a_reason(two: bytes) -> None:
    assert all(item.reason for item in plan(two, PlanOptions()).classes)


def test_two_exports_of_one_module_bind_by_original_name(build_app: BuildApp) -> None:
    mapping = read_mapping(b"x.Fft -> a.a:\n    int run(int) -> a\n    int back(int) -> b\n")
    members = "".join(f".method public static native {name}(I)I\n.end method\n" for name in "ab")
    data = build_app(
        [smali_class("a.a", members)], entries={"assets/fft.wasm": wasm({"run": "i>i", "back": "i>i"})}
    )
    found = plan(data, PlanOptions(rules=("Fft",), mapping=mapping))
    assert {item.method: item.export for item in found.methods} == {"a": "run", "b": "back"}
