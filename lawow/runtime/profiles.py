"""Engine profiles: how the engine is configured in each place, written once.

A profile's name carries a version. It is part of every cache key, because compiled code fits only the
configuration that it was compiled for; whoever changes a setting raises the version.

==============  ============  =====================================================================
profile         interrupted   used by
==============  ============  =====================================================================
``exec-1``      by the end    ``lawow exec``. One module of the user's own, one call, one process. No
                of the        epoch checks (they cost 2-90 %): at the deadline the process ends.
                process
``exec-fuel-1`` by fuel       ``lawow exec --fuel``: deterministic, 5-54 % slower.
``edge-2``      by epochs     the edge's workers: untrusted modules, many calls in one process. One
                              watchdog thread bumps the epoch at the earliest deadline. Initial memory
                              is copied: sharing it would need a file, which the workers may not make.
==============  ============  =====================================================================

All of them keep wasmtime's default reservation of 4 GiB of address space per memory: bounds checks are then
done by the hardware (explicit ones cost up to 1.85x). So an address-space limit (RLIMIT_AS) must not be set
on a process that runs guests; RLIMIT_DATA counts only what is writable and works. Shared memories are off
(wasmtime's default): nothing can wait on one for ever.
"""

from __future__ import annotations

from lawow.runtime.hot import CALL

__all__ = ["EDGE_PROFILE", "EXEC_FUEL_PROFILE", "EXEC_PROFILE", "PROFILES", "EngineProfile"]

Setting = tuple[str, str, int]
"""``wasmtime_config_<name>_set``, the letter of its parameter's type in `libwasmtime`, and the value."""


class EngineProfile:
    """One configuration of the engine. Immutable by convention; there are only the instances below."""

    __slots__ = ("has_epochs", "has_fuel", "name", "settings")

    def __init__(
        self,
        name: str,
        *,
        has_epochs: bool = False,
        has_fuel: bool = False,
        shares_initial_memory: bool = True,
    ) -> None:
        self.name = name
        self.has_epochs = has_epochs
        self.has_fuel = has_fuel
        self.settings: tuple[Setting, ...] = (
            ("epoch_interruption", "b", has_epochs),
            ("consume_fuel", "b", has_fuel),
            ("memory_init_cow", "b", shares_initial_memory),
            # A value above the size of an asynchronous stack aborts the process: only limits.py may set it.
            ("max_wasm_stack", "z", CALL.wasm_stack_bytes),
        )

    def __repr__(self) -> str:
        return f"EngineProfile({self.name!r})"


EXEC_PROFILE = EngineProfile("exec-1")
EXEC_FUEL_PROFILE = EngineProfile("exec-fuel-1", has_fuel=True)
EDGE_PROFILE = EngineProfile("edge-2", has_epochs=True, shares_initial_memory=False)

PROFILES = {profile.name: profile for profile in (EXEC_PROFILE, EXEC_FUEL_PROFILE, EDGE_PROFILE)}
"""Name -> profile, for the compile worker's command line."""
