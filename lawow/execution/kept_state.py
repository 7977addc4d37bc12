"""A file with the state of an instance: where ``lawow exec --state`` goes on, and what it leaves behind.

The file is written whole or not at all, when the call has returned; after a trap or a limit it stays as it
was. Of two commands that use one file at a time, the later one's state stays.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from lawow.durable import write_file
from lawow.errors import FormatError, LimitExceeded, Refused, UsageError
from lawow.execution.found import Found
from lawow.formats.state import InstanceState, decode_state
from lawow.formats.wasm_expose import expose_state
from lawow.limits import STATE
from lawow.runtime.base import CompiledModule, Engine, Instance
from lawow.runtime.state import StateKeeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lawow.runtime.grants import Grants

    Output = Callable[[bytes], object]

__all__ = ["KeptState"]

_ONLY_MINE = 0o600  # it holds whatever the guest was told


class KeptState:
    """The state in the file `path`, for one run of `export` on `engine`.

    Raises `UsageError` for a command and for repetitions, `Refused` if the engine keeps no instances.
    """

    def __init__(self, path: str, engine: Engine, export: str, repeat: int) -> None:
        if repeat > 1:
            raise UsageError("--repeat calls fresh instances, and --state goes on with one; give either")
        if export == "_start":
            raise UsageError("_start is a command, which leaves no instance; --state is for other exports")
        if not engine.keeps_instances:
            raise Refused("WasmEdge's command keeps no instance between calls; --state needs its library")
        self._path = Path(path)
        self._digest = ""

    def expose(self, found: Found) -> Found:
        """Return the module with its state exposed. Raises `Refused` with all that stands against it."""
        wasm = bytes(found.data)
        self._digest = hashlib.sha256(wasm).hexdigest()
        try:
            exposed = expose_state(wasm)
        except FormatError as error:
            raise error.within(found.label) from None
        except Refused as error:
            raise Refused(f"{found.label}: {error}") from None
        return Found(found.label, exposed, found.export, found.signature)

    def make(
        self,
        module: CompiledModule,
        *,
        memory_bytes: int | None,
        deadline_seconds: float | None,
        fuel: int | None,
        stdout: Output | None,
        stderr: Output | None,
        grants: Grants | None,
    ) -> Instance:
        """Return an instance in the state of the file, or a new one if there is no such file.

        Raises `FormatError` for a file that is no state of this module.
        """
        keeper = StateKeeper(module, self._digest)
        state = self._read()
        make = module.instantiate if state is None else lambda **given: keeper.restore(state, **given)
        try:
            return make(
                memory_bytes=memory_bytes,
                deadline_seconds=deadline_seconds,
                fuel=fuel,
                stdout=stdout,
                stderr=stderr,
                grants=grants,
            )
        except FormatError as error:
            raise error if state is None else error.within(str(self._path)) from None

    def keep(self, module: CompiledModule, instance: Instance) -> None:
        """Write the state that the instance has now. Raises `OSError` with the file as it was."""
        state = StateKeeper(module, self._digest).snapshot(instance)
        write_file(self._path, state.encode(), mode=_ONLY_MINE)

    def _read(self) -> InstanceState | None:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return None
        if size > STATE.encoded_bytes:
            raise LimitExceeded("encoded_bytes", size, STATE.encoded_bytes, subject=str(self._path))
        try:
            return decode_state(self._path.read_bytes())
        except FormatError as error:
            raise error.within(str(self._path)) from None
