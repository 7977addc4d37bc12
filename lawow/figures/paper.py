"""What the two papers report, word for word where it is a number: the figures that ours stand beside.

[1] Zhu, Li, Tan, Wang, Zhang: LAWOW. [2] Yadhav et al.: Benefits of Dynamic Computational Offloading for
Mobile Devices, CLOSER 2024. The drawings of both hold more than the texts; nothing here was read off a
drawing.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CONTAINER_MEMORY_BYTES",
    "DEVICES",
    "PROGRAMS",
    "VM_MEMORY_BYTES",
    "WASM_MEMORY_BYTES",
    "PaperDevice",
    "Program",
]

MIB = 1 << 20
VM_MEMORY_BYTES = 512 * MIB  # [1] IV.B: a VM requires at least so much to start
CONTAINER_MEMORY_BYTES = 128 * MIB  # [1] IV.B
WASM_MEMORY_BYTES = 50 * MIB  # [1] IV.B: "less than"


@dataclass(frozen=True, slots=True)
class Program:
    """A program of [1], Table I, as `fixtures/app` has it, and by how much offloading cut its time."""

    title: str
    module: str
    export: str
    signature: str
    argument: int
    saved: float


PROGRAMS = (
    Program("insert_sort", "insertion_sort.wasm", "sort", "i>I", 30_000, 0.84),
    Program("matrix_multiply", "matrix.wasm", "multiply", "i>F", 500, 0.90),
    Program("fibonacci", "fibonacci.wasm", "fib", "i>i", 32, 0.73),
)


@dataclass(frozen=True, slots=True)
class PaperDevice:
    """A device of [2]: per place (local, 5g, lan) milliseconds of a response (4.1, 4.2) and mWh per frame
    (Tables 2 and 3). Its watts are in `lawow.device.profiles`.
    """

    title: str
    response_ms: dict[str, float]
    mwh_per_frame: dict[str, float]


DEVICES = {
    "pi3b": PaperDevice(
        "Raspberry Pi 3B",
        {"local": 1300.0, "5g": 90.0, "lan": 65.0},
        {"local": 2.02, "5g": 0.09, "lan": 0.06},
    ),
    "jetson-nano": PaperDevice(
        "Nvidia Jetson Nano",
        {"local": 60.01, "5g": 84.40, "lan": 63.01},
        {"local": 0.101, "5g": 0.058, "lan": 0.050},
    ),
}
