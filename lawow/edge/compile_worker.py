"""A throw-away process that compiles one module: ``python -m lawow.edge.compile_worker PARENT``.

Standard input is the module, standard output a file for the compiled code, or for one sentence when the
status is `REFUSED`. Compilers of hostile input may take any amount of time and memory, and an engine promises
nothing about that; so this process has limits on both, the same filter of system calls as the workers, and
ends after one module. What the module's sessions will remember is exposed, if it can be captured.
"""

from __future__ import annotations

import os
import sys

from lawow.edge.confinement import ChildLimits, begin_child, close_filter, limit_child, read_everything
from lawow.errors import LawowError, Refused
from lawow.formats.wasm_expose import expose_state
from lawow.limits import COMPILE
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["REFUSED", "main"]

REFUSED = 3
COMPILED_BYTES = 256 << 20


def main(arguments: list[str]) -> None:
    """Compile standard input to standard output."""
    begin_child(int(arguments[0]))
    limits = ChildLimits(
        address_space_bytes=COMPILE.address_space_bytes,
        cpu_seconds=COMPILE.cpu_seconds,
        file_bytes=COMPILED_BYTES,
    )
    limit_child(limits)
    engine = WasmtimeEngine(EDGE_PROFILE)
    close_filter()
    status = 0
    try:
        with engine.compile(_exposed(read_everything(0))) as module:
            output = module.serialize()
    except LawowError as error:
        output, status = str(error).encode(errors="replace"), REFUSED
    view = memoryview(output)
    while view:
        view = view[os.write(1, view) :]
    os._exit(status)


def _exposed(wasm: bytes) -> bytes:
    """Return the module with its state exposed, or as it is if that cannot be captured."""
    try:
        return expose_state(wasm)
    except Refused:
        return wasm


if __name__ == "__main__":
    main(sys.argv[1:])
