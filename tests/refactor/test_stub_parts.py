"""What an app carries of the stub library: all that its code leads to, and nothing else."""

from __future__ import annotations

from lawow.formats.dex.reader import read_dex
from lawow.refactor.stub_parts import needed_classes, types_named_by
from lawow.resources import android_stub

STUB = read_dex(android_stub("prebuilt", "lawow-stub.dex").read_bytes())


def test_generated_classes_need_neither_channels_nor_leases_nor_instances_of_the_apps_own() -> None:
    needed = set(needed_classes(STUB, ()))
    assert {
        "Ldev/lawow/Lawow;",
        "Ldev/lawow/RemoteClient;",
        "Ldev/lawow/Native;",
        "Ldev/lawow/Trap;",
    } <= needed
    unused = ("DataClient", "ClientConnection", "ElasticChannel", "OffloadHandler", "Json", "ElasticFunction")
    assert not needed & {f"Ldev/lawow/{name};" for name in unused}


def test_whatever_a_class_that_is_there_names_is_there() -> None:
    for start in STUB.class_names():
        needed = needed_classes(STUB, [start])
        assert start in needed
        for descriptor in needed:
            named = types_named_by(STUB.references_of(STUB.class_def(descriptor)))
            assert named & set(STUB.class_names()) <= set(needed)


def test_an_array_or_a_nested_class_stands_for_its_class_and_strangers_for_nothing() -> None:
    by_array = needed_classes(STUB, ["[[Ldev/lawow/OffloadHandler;"])
    assert by_array == needed_classes(STUB, ["Ldev/lawow/OffloadHandler;", "Lcom/example/Main;", "I"])
    assert "Ldev/lawow/DataClient;" in by_array
    assert "Ldev/lawow/ElasticFunction$Builder;" in needed_classes(STUB, ["Ldev/lawow/ElasticFunction;"])
