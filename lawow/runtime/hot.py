"""The limits of `lawow.limits` that the start of ``lawow exec`` needs, at the price of one small module.

Importing `lawow.limits` loads `dataclasses`, which takes longer than Python's own start. These classes have
the same names and numbers; ``tests/runtime/test_hot.py`` compares every field, so that there is one truth.
For a type checker they *are* the objects of `lawow.limits`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.limits import CALL, COMPILE, MODULE
else:

    class MODULE:
        """`lawow.limits.MODULE`."""

        module_bytes = 64 << 20
        functions = 100_000
        locals_per_function = 5_000
        locals_in_all = 4_000_000
        function_body_bytes = 7_654_321
        exports = 100_000
        imports = 10_000
        name_bytes = 10_000
        local_bytes = 200_000_000

    class CALL:
        """`lawow.limits.CALL`."""

        deadline_seconds = 60.0
        memory_bytes = 1 << 30
        table_elements = 100_000
        instances = 1
        tables = 4
        memories = 1
        wasm_stack_bytes = 512 << 10
        native_stack_bytes = 64 << 20
        output_bytes = 16 << 20
        arguments = 1_000

    class COMPILE:
        """`lawow.limits.COMPILE`."""

        cpu_seconds = 60
        address_space_bytes = 4 << 30
        in_process_bytes = 256 << 10


__all__ = ["CALL", "COMPILE", "MODULE"]
