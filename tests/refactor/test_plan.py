"""What is moved, bound and refused, and the sentences that say so."""

from __future__ import annotations

import hashlib

import pytest

from lawow.errors import FormatError, Refused, UsageError
from lawow.formats.apk import read_app
from lawow.refactor.binding import ModuleChoice
from lawow.refactor.classify import ClassRole
from lawow.refactor.plan import PlanOptions, SplitPlan, make_plan
from tests.refactor.builders import (
    CONSTRUCTOR,
    FIB,
    MAIN,
    NATIVE_FIB,
    REAL_FIB,
    make_zip,
    smali_class,
    smali_method,
    wasm,
)
from tests.refactor.conftest import FIBONACCI, BuildApp

FIB_CLASS = "com.example.app.FibonacciWasm"
PURE_MAIN = smali_class(
    "com.example.app.Main", CONSTRUCTOR + smali_method("compute", "(I)I", "    return p0", registers=1)
)


def plan(data: bytes, options: PlanOptions | None = None) -> SplitPlan:
    return make_plan(read_app(data, name="app.apk"), options or PlanOptions())


def native(name: str, descriptor: str, flags: str = "public static native") -> str:
    return f".method {flags} {name}{descriptor}\n.end method\n"


def one_class(build_app: BuildApp, members: str, module: bytes = FIB, flags: str = "public") -> bytes:
    return build_app(
        [smali_class(FIB_CLASS, members, flags=flags)], entries={"assets/fibonacci.wasm": module}
    )


def test_a_class_is_bound_to_the_module_of_its_name_anywhere_below_assets(build_app: BuildApp) -> None:
    found = plan(build_app(entries={"assets/deep/down/fibonacci.wasm": FIB}))
    (move,) = found.moves
    assert move.binding.entries == ("assets/deep/down/fibonacci.wasm",)
    assert [(item.method, item.descriptor, item.export, item.signature) for item in move.methods] == [
        ("fib", "(I)I", "fib", "i>i")
    ]
    assert {item.name: item.role for item in found.classes} == {
        FIB_CLASS: ClassRole.OFFLOADABLE,
        "com.example.app.Main": ClassRole.RESIDENT,
    }


def test_an_unbound_class_is_refused_with_what_to_do(build_app: BuildApp) -> None:
    with pytest.raises(Refused) as caught:
        plan(build_app(entries={}))
    assert str(caught.value) == (
        f"app.apk: {FIB_CLASS}: its name matches *Wasm, but there is no assets/**/fibonacci.wasm in the APK;"
        f" give --module {FIB_CLASS}=FILE.wasm, or --allow-unbound to leave such classes on the device"
    )


def test_an_unbound_class_stays_with_a_reason_when_that_is_allowed(build_app: BuildApp) -> None:
    other = smali_class("com.example.app.OtherWasm", NATIVE_FIB)
    found = plan(build_app([FIBONACCI, other]), PlanOptions(allow_unbound=True))
    assert [move.classified.name for move in found.moves] == [FIB_CLASS]
    (resident,) = (item for item in found.classes if item.role is ClassRole.RESIDENT)
    assert resident.reason == "its name matches *Wasm, but there is no other.wasm (--allow-unbound)"


def test_a_split_that_would_move_nothing_is_refused(build_app: BuildApp) -> None:
    with pytest.raises(
        Refused, match=r"nothing to move: no module is bound to com\.example\.app\.FibonacciWasm"
    ):
        plan(build_app(entries={}), PlanOptions(allow_unbound=True))
    with pytest.raises(Refused, match=r"none of its 2 classes is called \*Edge; name the classes"):
        plan(build_app(), PlanOptions(rules=("*Edge",)))


def test_a_class_can_be_bound_to_a_file_and_to_a_module_in_the_apk(build_app: BuildApp) -> None:
    for choice in (
        ModuleChoice("Main", "m.wasm", wasm({"compute": "i>i"})),
        ModuleChoice("*.Main", "n.wasm"),
    ):
        data = build_app([PURE_MAIN], entries={"assets/n.wasm": wasm({"compute": "i>i"})})
        found = plan(data, PlanOptions(rules=("Nothing",), modules=(choice,)))
        assert [(item.class_name, item.method) for item in found.methods] == [
            ("com.example.app.Main", "compute")
        ]
        assert found.moves[0].binding.entries == ("assets/n.wasm",)
        assert found.moves[0].classified.reason == "named by --module"


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ([ModuleChoice("Fibb", "a.wasm", FIB)], "--module Fibb=a.wasm: the app has no such class"),
        ([ModuleChoice("Main", "a.wasm")], "a.wasm is neither a file nor a module in the APK"),
        ([ModuleChoice("Main", "a.wasm", FIB), ModuleChoice("*Main", "b.wasm", FIB)], "names 2 modules for"),
    ],
)
def test_a_binding_that_names_nothing_is_a_usage_error(
    build_app: BuildApp, choices: list[ModuleChoice], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        plan(build_app(), PlanOptions(modules=tuple(choices)))


def test_two_different_modules_of_one_name_are_refused_and_equal_ones_are_one(build_app: BuildApp) -> None:
    entries = {"assets/a/fibonacci.wasm": FIB, "assets/b/fibonacci.wasm": FIB}
    assert len(plan(build_app(entries=entries)).moves[0].binding.entries) == 2
    entries["assets/b/fibonacci.wasm"] = wasm({"fib": "i>i"})
    with pytest.raises(
        Refused, match=r"assets/a/fibonacci\.wasm and assets/b/fibonacci\.wasm differ; choose one"
    ):
        plan(build_app(entries=entries))


def test_two_classes_with_different_modules_of_one_name_are_refused(build_app: BuildApp) -> None:
    choices = (
        ModuleChoice("FibonacciWasm", "m.wasm", FIB),
        ModuleChoice("Main", "m.wasm", wasm({"compute": "i>i"})),
    )
    with pytest.raises(Refused, match=r"belong to different modules that are both called m\.wasm"):
        plan(build_app(), PlanOptions(modules=choices))


def test_types_that_do_not_fit_are_refused_with_both_signatures(build_app: BuildApp) -> None:
    with pytest.raises(Refused) as caught:
        plan(one_class(build_app, native("fib", "(J)I")))
    assert str(caught.value) == (
        f"app.apk: {FIB_CLASS}.fib: the types of fib(J)I are not those of the export"
        " fib: func(p0: s32) -> s32 of fibonacci.wasm; it is (i32) -> i32, and fib(J)I is (i64) -> i32"
    )


@pytest.mark.parametrize(
    "descriptor", ["(Ljava/lang/String;)I", "([I)I", "(I)V", "(I)Ljava/lang/Number;", "()I"]
)
def test_objects_arrays_and_missing_values_do_not_fit(build_app: BuildApp, descriptor: str) -> None:
    with pytest.raises(Refused, match="are not those of the export"):
        plan(one_class(build_app, native("fib", descriptor)))


@pytest.mark.parametrize("descriptor", ["(Z)Z", "(B)S", "(C)I"])
def test_small_integers_fit_i32(build_app: BuildApp, descriptor: str) -> None:
    assert plan(one_class(build_app, native("fib", descriptor))).methods[0].descriptor == descriptor


def test_of_two_overloads_the_one_that_fits_moves(build_app: BuildApp) -> None:
    found = plan(one_class(build_app, NATIVE_FIB + native("fib", "(JJ)J")))
    assert [item.descriptor for item in found.methods] == ["(I)I"]


def test_two_overloads_that_fit_are_refused(build_app: BuildApp) -> None:
    with pytest.raises(Refused, match=r"fib\(C\)I and fib\(I\)I both fit the export"):
        plan(one_class(build_app, NATIVE_FIB + native("fib", "(C)I")))


def test_a_class_without_a_method_of_its_module_is_refused(build_app: BuildApp) -> None:
    with pytest.raises(
        Refused, match=r"no method has the name of an export of fibonacci.wasm; methods: fob; exports: fib"
    ):
        plan(one_class(build_app, native("fob", "(I)I")))


def test_instance_methods_of_a_stateless_class_fit(build_app: BuildApp) -> None:
    members = CONSTRUCTOR + native("fib", "(I)I", "public native")
    assert plan(one_class(build_app, members)).methods[0].method == "fib"


def test_abstract_methods_are_refused(build_app: BuildApp) -> None:
    members = CONSTRUCTOR + native("fib", "(I)I", "public abstract")
    with pytest.raises(Refused, match="is abstract"):
        plan(one_class(build_app, members, flags="public abstract"))


def test_annotation_types_are_refused(build_app: BuildApp) -> None:
    extra = ".implements Ljava/lang/annotation/Annotation;\n"
    text = smali_class(FIB_CLASS, native("fib", "()I", "public abstract"), extra=extra)
    text = text.replace(".class public", ".class public abstract interface annotation")
    with pytest.raises(Refused, match="is an annotation type"):
        plan(build_app([text]))


def test_the_annotation_of_lawow_pack_names_module_and_export(build_app: BuildApp) -> None:
    digest = hashlib.sha256(FIB).hexdigest()
    on_class = (
        f'.annotation build Ldev/lawow/Offload;\n    module = "fib-two.wasm@{digest}"\n.end annotation\n'
    )
    on_method = '    .annotation build Ldev/lawow/Offload;\n        export = "fib"\n    .end annotation\n'
    method = f".method public static native fib_(I)I\n{on_method}.end method\n"
    data = build_app(
        [smali_class(FIB_CLASS, method, extra=on_class)], entries={"assets/lawow/fib-two.wasm": FIB}
    )
    (bound,) = plan(data).methods
    assert (bound.module, bound.method, bound.export) == ("fib-two.wasm", "fib_", "fib")
    changed = build_app(
        [smali_class(FIB_CLASS, method, extra=on_class)],
        entries={"assets/lawow/fib-two.wasm": wasm({"fib": "i>i"})},
    )
    with pytest.raises(Refused, match=r"was made for another fib-two\.wasm"):
        plan(changed)


def test_callers_are_told_what_else_changes(build_app: BuildApp) -> None:
    members = native("fib", "(I)I", "public static synchronized native")
    (move,) = plan(one_class(build_app, members)).moves
    assert move.notes == (
        "fib is no longer synchronized: calls reach the edge side by side",
        "fib is no longer native: a library that registers it by RegisterNatives fails",
    )


def test_nested_classes_stay_and_are_named(build_app: BuildApp) -> None:
    nested = smali_class(f"{FIB_CLASS}$Helper", CONSTRUCTOR)
    (move,) = plan(build_app([FIBONACCI, nested])).moves
    assert move.notes[0] == f"its nested classes stay on the device as they are: {FIB_CLASS}$Helper"


def test_an_app_for_android_without_native_multidex_is_refused_unless_overridden(build_app: BuildApp) -> None:
    old = build_app(min_sdk=19)
    with pytest.raises(Refused, match=r"minSdkVersion is 19; Android before 21 does not load classes2\.dex"):
        plan(old)
    assert plan(old, PlanOptions(allow_old_android=True)).moves


def test_a_gap_in_the_numbers_of_the_dex_files_is_refused(build_app: BuildApp) -> None:
    entries = {"assets/fibonacci.wasm": FIB, "classes3.dex": b"dead"}
    with pytest.raises(Refused, match=r"classes2\.dex is missing but classes3\.dex exists"):
        plan(build_app(entries=entries))


def test_the_first_definition_of_a_doubled_class_moves(build_app: BuildApp) -> None:
    second = smali_class(FIB_CLASS, REAL_FIB)
    found = plan(build_app([FIBONACCI], [second, MAIN]))
    assert found.moves[0].classified.dex_files == ("classes.dex", "classes2.dex")
    assert found.moves[0].view.methods[0].is_native
    assert found.app.next_dex_name == "classes3.dex"


def test_archives_that_are_not_apps_are_refused(build_app: BuildApp) -> None:
    with pytest.raises(FormatError, match=r"app\.apk: AndroidManifest\.xml is missing; this is not an APK"):
        plan(make_zip({"a": b""}))
    with pytest.raises(Refused, match=r"there is no classes\.dex"):
        plan(
            make_zip(
                {
                    "AndroidManifest.xml": read_app(build_app(), name="")
                    .archive.by_name[b"AndroidManifest.xml"]
                    .read()
                }
            )
        )


def test_a_malformed_module_is_named_with_its_place(build_app: BuildApp) -> None:
    with pytest.raises(FormatError, match=r"app\.apk: assets/fibonacci\.wasm: "):
        plan(build_app(entries={"assets/fibonacci.wasm": FIB[: len(FIB) // 2]}))


def test_private_helpers_and_initialisers_never_match(build_app: BuildApp) -> None:
    helper = smali_method("help", "(I)I", "    return p0", flags="private static", registers=1)
    found = plan(one_class(build_app, NATIVE_FIB + helper, wasm({"fib": "i>i", "<clinit>": ">"})))
    assert [item.method for item in found.methods] == ["fib"]
