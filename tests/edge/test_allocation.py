"""Freed memory that a worker keeps: seen by the page faults that the kernel counts."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from lawow.edge.allocation import keep_freed_memory
assert sys.argv[1] == "default" or keep_freed_memory(8 << 20)
def use():
    blocks = [bytes(bytearray(1 << 20)) for _ in range(4)]
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no mallopt")
def test_large_blocks_that_come_and_go_cost_no_page_faults() -> None:
    def faults(setting: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, setting], check=True, capture_output=True, text=True
        )
        return int(done.stdout)

    assert faults("kept") < 50 < 10_000 < faults("default")
