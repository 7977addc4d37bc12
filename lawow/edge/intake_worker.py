"""A throw-away process that looks at one upload: ``intake_worker PARENT module|bundle|model [GRANT...]``.

Standard input is the upload, standard output a file for the findings: one line of JSON, and for a bundle the
bytes of its modules behind it, in the order of the line. The grants name host functions that its modules may
import. The process has no other way to the outside: parsers
of hostile bytes run here under limits of time and memory, and not in the server, whose other requests they
would hold up.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

from lawow.edge.confinement import ChildLimits, begin_child, close_filter, limit_child, read_everything
from lawow.errors import FormatError, LawowError, LimitExceeded
from lawow.formats.bundle import BoundMethod, read_bundle
from lawow.formats.interface import signature_letters, wit_of
from lawow.formats.wasm import inspect_module
from lawow.limits import EDGE, MODULE
from lawow.runtime.host_functions import GRANTS_BY_MODULE, INFERENCE, find_host_functions
from lawow.runtime.nn import abi

__all__ = ["main"]

CPU_SECONDS = 10
ADDRESS_SPACE_BYTES = 2 << 30
PROVIDED_IMPORTS = frozenset({"wasi_snapshot_preview1"})
SHOWN_IMPORTS = 8
MODEL_MEMORY_BYTES = 512 << 20  # for a model and its tensors while it is looked at; two may be at a time
EXPORTS = 10_000
EXPORT_NAMES_BYTES = 256 << 10  # all of them together: they are stored, and are part of answers

ExportRecord = tuple[str, str, str]
Functions = frozenset[tuple[str, str]]
Findings = tuple[dict[str, object], list[bytes]]
Look = Callable[[bytes], Findings]


def main(arguments: list[str]) -> None:
    """Read standard input, write the findings, end."""
    parent, kind = int(arguments[0]), arguments[1]
    begin_child(parent)
    look = LOOKS[kind](arguments[2:])
    limits = ChildLimits(
        address_space_bytes=ADDRESS_SPACE_BYTES, cpu_seconds=CPU_SECONDS, file_bytes=2 * EDGE.bundle_bytes
    )
    limit_child(limits)
    close_filter()
    data = read_everything(0)
    try:
        findings, contents = look(data)
    except LawowError as error:
        findings, contents = {"error": str(error)}, []
    _write(json.dumps(findings).encode() + b"\n")
    for content in contents:
        _write(content)


def _module_look(grants: list[str]) -> Look:
    granted = _functions(grants)
    return lambda data: ({"exports": _exports(data, granted)}, [])


def _bundle_look(grants: list[str]) -> Look:
    granted = _functions(grants)
    return lambda data: _bundle(data, granted)


def _model_look(_: list[str]) -> Look:
    """Return what lets the library open a model, which it is loaded for before the fences stand."""
    from lawow.edge.inference import FencedInference, limits_within
    from lawow.runtime.nn.abi import NnError
    from lawow.runtime.nn.models import open_model

    limits = limits_within(MODEL_MEMORY_BYTES, threads=1)
    FencedInference(limits)

    def look(data: bytes) -> Findings:
        try:
            open_model("the model", data, "cpu", limits)
        except NnError as error:
            raise FormatError(str(error)) from None
        return {}, []

    return look


LOOKS: dict[str, Callable[[list[str]], Look]] = {
    "module": _module_look,
    "bundle": _bundle_look,
    "model": _model_look,
}
"""Kind of upload -> what makes its look, from the grants, before the fences stand."""


def _functions(grants: list[str]) -> Functions:
    """Return module and name of all functions that may be imported."""
    found = find_host_functions(name for name in grants if name != INFERENCE)
    inference = abi.FUNCTIONS if INFERENCE in grants else ()
    return frozenset(
        [*((item.module, item.name) for item in found), *((abi.MODULE_NAME, name) for name in inference)]
    )


def _bundle(data: bytes, granted: Functions) -> Findings:
    bundle = read_bundle(data)
    modules = [
        {"sha256": module.sha256, "bytes": len(module.data), "exports": _exports(module.data, granted)}
        for module in bundle.modules
    ]
    digests = {module.file: module.sha256 for module in bundle.modules}
    methods = [_method(bound, digests[bound.module]) for bound in bundle.methods]
    return {"modules": modules, "methods": methods}, [module.data for module in bundle.modules]


def _method(bound: BoundMethod, sha256: str) -> dict[str, str]:
    return {
        "class": bound.class_name,
        "method": bound.method,
        "descriptor": bound.descriptor,
        "sha256": sha256,
        "export": bound.export,
        "signature": bound.signature,
    }


def _exports(data: bytes, granted: Functions) -> list[ExportRecord]:
    """Return the functions that can be called. Raises `FormatError` for what the edge does not run."""
    info = inspect_module(data, limits=MODULE)
    if info.is_component:
        raise FormatError("this is a component; the edge runs core modules")
    unknown = [
        f"{item.module}.{item.name}"
        for item in info.imports
        if item.module not in PROVIDED_IMPORTS and (item.module, item.name) not in granted
    ]
    if unknown:
        more = ", ..." if len(unknown) > SHOWN_IMPORTS else ""
        raise FormatError(
            f"the module imports what the edge does not give: {', '.join(unknown[:SHOWN_IMPORTS])}{more}"
            f"{_way_to_grants([name.rpartition('.')[0] for name in unknown])}"
        )
    found = info.callable_exports
    names_bytes = sum(len(item.name) for item in found)
    for limit, value, maximum in (
        ("exports", len(found), EXPORTS),
        ("export_names_bytes", names_bytes, EXPORT_NAMES_BYTES),
    ):
        if value > maximum:
            raise LimitExceeded(limit, value, maximum)
    return [
        (item.name, signature_letters(item.type), wit_of(item.name, item.type))
        for item in found
        if item.type is not None
    ]


def _way_to_grants(modules: list[str]) -> str:
    """Return by which command the operator gives what is imported from these modules, if one does."""
    grants = sorted({GRANTS_BY_MODULE[name] for name in modules if name in GRANTS_BY_MODULE})
    options = " ".join(f"--grant {name}" for name in grants)
    return f"; `lawow tenant set NAME {options}` on the edge gives it" if grants else ""


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main(sys.argv[1:])
