"""Figure 5 of the LAWOW paper as a table and as a page, each of our numbers beside the paper's."""

from __future__ import annotations

from collections.abc import Sequence

from lawow.figures.page import paragraph, picture, render_page, table
from lawow.figures.table1 import ProgramRun, Table1

__all__ = ["COLUMNS", "render_table1", "table1_rows"]

COLUMNS = (
    "program",
    "device s (emulated)",
    "cold s",
    "warm s",
    "saved, warm",
    "saved, cold",
    "paper saved",
    "slowdown needed",
    "exec peak MiB",
)
MIB = 1 << 20
DIFFERENCES = (
    "The paper's phone is a Huawei Mate 10 and its edge a PC with a Core i9-10900. Here both are this "
    "machine: the phone is a process that gets the stated part of one processor, so caches, vector units "
    "and Android's own load are not its own. The last column but one says how many times slower than this"
    " edge a device has to be for the paper's saving: with a faster device the same programs save less.",
    "Both places run code that was compiled by wasmtime. WasmEdge on Android, which the paper used, "
    "interprets; the paper's savings contain that difference, ours do not.",
    "The paper counts the program's transmission. So does our cold offload, whose transfer also holds the"
    " compilation of the module and the start of the tenant's worker process; each later call is a warm "
    "one. For a program of some hundredths of a second a cold offload costs more than it saves.",
    "Memory of VM and container is quoted from the paper and was not measured here. Ours is the peak of the "
    "whole process that ran the module: the edge's worker in the drawing, lawow exec in the table. Of the "
    "matrix program's peak 8 MiB are its own matrices.",
)


def table1_rows(result: Table1) -> Sequence[tuple[str, ...]]:
    """Return a row for each program, as text."""
    return [
        _row(run, result.slowdown, peak) for run, peak in zip(result.runs, result.exec_peaks, strict=True)
    ]


def _row(run: ProgramRun, slowdown: float, peak: int) -> tuple[str, ...]:
    return (
        f"{run.program.title} {run.program.argument:,}",
        f"{run.local.seconds:.3f}",
        f"{run.cold.seconds:.3f}",
        f"{run.warm.seconds:.3f}",
        f"{run.saved:.0%}",
        f"{run.saved_cold:.0%}",
        f"{run.program.saved:.0%}",
        f"{run.needed_slowdown(slowdown):.1f}",
        f"{peak / MIB:.1f}",
    )


def render_table1(result: Table1, times_svg: str, memory_svg: str) -> str:
    """Return the page."""
    what = (
        f"The device is emulated {result.slowdown:g} times slower than this machine, the network is an "
        f"emulated {result.network}, the edge a real lawow serve. The quickest of the rounds; one cold "
        "offload each."
    )
    return render_page(
        "LAWOW, figure 5: Table I on a device and offloaded",
        [
            ("Beside the paper", [paragraph(what), table(COLUMNS, table1_rows(result))]),
            (
                "Figure 5(a)",
                [picture(times_svg, "Execution time: transfer, preparation and run; device emulated")],
            ),
            (
                "Figure 5(b)",
                [picture(memory_svg, "Memory: VM and container quoted, the others measured on the edge")],
            ),
            ("Why the figures differ from the paper's", [paragraph(text) for text in DIFFERENCES]),
        ],
    )
