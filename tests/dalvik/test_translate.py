"""What `translate` gives and refuses: exports and their types, constants, memory between calls."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import wasmtime

from lawow.dalvik import Program, Translation, examine, translate
from lawow.errors import GuestTrap, Refused
from lawow.formats.dex import MethodRef, read_dex
from lawow.formats.signature import parse_typed_signature
from lawow.formats.wasm import inspect_module
from lawow.formats.wit import parse_wit, signature_of
from tests.dalvik.judge import Call, Guest

OWNER = "Lkernels/Constants;"


def ref(name: str, descriptor: str) -> MethodRef:
    return MethodRef(OWNER, name, descriptor)


def translated(dex: bytes, methods: Iterable[MethodRef]) -> Translation:
    return translate(Program([read_dex(dex)]), methods)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (ref("changed", "(I)I"), "which Lkernels/Constants$Meddler;->meddle()V may change"),
        (ref("given", "(I)I"), "which Lkernels/Constants$Meddler;->give()[I may change"),
        (ref("unknown", "(I)I"), "not known before"),
        (ref("started", "()J"), "not known before"),
        (ref("typed", "()I"), "not known before"),
        (ref("counts", "()I"), "is not final"),
        (ref("increments", "()I"), "writes the static field"),
        (ref("power", "(D)D"), "calls Ljava/lang/Math;->pow(DD)D"),
        (ref("missing", "()V"), "is not defined in the app"),
        (ref("<clinit>", "()V"), "initialises a class"),
    ],
)
def test_what_is_no_constant_or_not_exact_is_refused(kernels: bytes, method: MethodRef, reason: str) -> None:
    found = examine(Program([read_dex(kernels)]), method).reason
    assert found is not None
    assert reason in found.reason
    with pytest.raises(Refused, match="nothing can be translated"):
        translated(kernels, [method])


def test_tables_that_nobody_changes_are_constants(kernels: bytes) -> None:
    methods = [ref("fixed", "(I)I"), ref("passed", "(I)I")]
    guest = Guest.of(kernels, methods)
    assert [guest.call(Call(method, (f"{i}",))) for method in methods for i in range(3)] == [
        "ok 6", "ok 4", "ok 7", "ok 1", "ok 5", "ok 9",
    ]  # fmt: skip
    assert guest.call(Call(methods[0], ("3",))) == "throws java.lang.ArrayIndexOutOfBoundsException"


def test_a_caller_is_refused_with_the_obstacle_of_what_it_calls(kernels: bytes) -> None:
    caller, sound = ref("callsPower", "(D)D"), ref("fixed", "(I)I")
    done = translated(kernels, [caller, sound])
    assert list(done.exports) == [sound]
    (why,) = done.refused
    assert (why.method, why.instruction) == (ref("power", "(D)D"), "invoke-static")
    assert examine(Program([read_dex(kernels)]), caller).callees == (ref("power", "(D)D"),)


def test_a_row_that_is_put_into_a_parameter_comes_back(kernels: bytes) -> None:
    method = ref("putsRow", "([[I[I)V")
    guest = Guest.of(kernels, [method])
    assert guest.call(Call(method, ("{[1|[2", "[7,8"))) == "ok void {[7,8|[2 [7,8"
    assert guest.call(Call(method, ("{[1|[2", "null"))) == "ok void {null|[2"


def test_lists_of_a_type_that_is_written_come_back_and_others_do_not(kernels: bytes) -> None:
    method = ref("list", "([B[C[B)I")
    item = translated(kernels, [method]).exports[method]
    assert item.signature == "&[b[c&[b>i"
    assert item.checked_signature == "&[i&[b[c&[b>i"
    assert [parameter.is_written for parameter in item.parameters] == [True, False, False]


def test_the_interface_is_the_one_of_the_exports(kernels: bytes) -> None:
    methods = [
        ref("overloaded", "(I)I"),
        ref("overloaded", "(II)I"),
        ref("list", "([B[C[B)I"),  # a name that WIT reserves
        MethodRef("Lkernels/Sha256;", "hash", "([B)[B"),
        MethodRef("Lkernels/Loops;", "nested", "([[II)J"),
    ]
    done = translated(kernels, methods)
    module = wasmtime.Module(wasmtime.Engine(), done.wasm)
    types = {item.name: item.type for item in module.exports}
    world = parse_wit(done.wit)
    names = [name for item in done.exports.values() for name in (item.export, item.checked)]
    assert len(set(names)) == len(world.functions) == 2 * len(methods)
    for item in done.exports.values():
        for name, text in ((item.export, item.signature), (item.checked, item.checked_signature)):
            flat = parse_typed_signature(text).flat
            kind = types[name]
            assert isinstance(kind, wasmtime.FuncType)
            assert [str(param) for param in kind.params] == list(flat.params)
            assert [str(result) for result in kind.results] == list(flat.results)
    assert [signature_of(item) for item in world.functions[:2]] == ["i>i", "[ii>i"]
    section = inspect_module(done.wasm).interface
    assert section is not None
    assert done.wasm[-len(done.wit.encode()) :] == done.wit.encode()


def test_the_same_methods_give_the_same_module(kernels: bytes) -> None:
    methods = [MethodRef("Lkernels/Chess;", "run", "(I)J"), MethodRef("Lkernels/Dct;", "run", "(I)I")]
    assert translated(kernels, methods) == translated(kernels, methods)


def test_a_plain_export_traps_where_java_throws(kernels: bytes) -> None:
    method = MethodRef("Lkernels/Semantics;", "divide", "(II)I")
    guest = Guest.of(kernels, [method])
    instance = guest.module.instantiate(fuel=1 << 40)
    assert instance.call("divide", (7, 2)) == (3,)
    with pytest.raises(GuestTrap) as caught:
        instance.call("divide", (7, 0))
    assert caught.value.code == "unreachable"


def test_memory_does_not_grow_with_the_number_of_calls(kernels: bytes) -> None:
    method = MethodRef("Lkernels/Sha256;", "hash", "([B)[B")
    same = MethodRef("Lkernels/Semantics;", "sameArray", "([B[B)Z")
    guest = Guest.of(kernels, [method, same])
    text = "[" + ",".join("7" for _ in range(3000))
    first = guest.call(Call(method, (text,)))
    for _ in range(100):
        assert guest.call(Call(method, (text,))) == first
        assert guest.call(Call(same, (text, "=0"))).startswith("ok 1 ")
    assert len(first) > 64
    assert guest.memory_bytes() <= 1 << 20


def test_an_exception_leaves_nothing_behind_for_the_next_call(kernels: bytes) -> None:
    method = MethodRef("Lkernels/Semantics;", "sizes", "(I)[I")
    guest = Guest.of(kernels, [method])
    outcomes = [guest.call(Call(method, (text,))) for text in ("5", "ffffffff", "5", "0", "5")]
    assert outcomes[0] == outcomes[2] == outcomes[4] == "ok [0,1,4,9,10"
    assert outcomes[1] == "throws java.lang.NegativeArraySizeException"
    assert outcomes[3] == "ok ["
