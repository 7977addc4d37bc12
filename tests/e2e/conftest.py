"""What a JVM of this machine needs to run modules."""

from __future__ import annotations

from tests.android.conftest import host_glue, host_wasmtime

__all__ = ["host_glue", "host_wasmtime"]
