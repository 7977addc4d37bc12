"""A burst of calls: CALL frames of one function, one behind the other, and a module that answers them.

Reading a frame and calling for it takes Python a hundred times as long as a quick function takes to run. So
for each type of function there is a WebAssembly module that does both: it is put beside the guest's instance,
imports the function, and has a memory of its own, which no guest can see::

    0       u32 stop | u32 place of the frame begun last, or 0 | u32 calls answered | u32 end of the answers
    64      the frames as they came, up to `FRAMES_BYTES`
    32768   RESULT frames, as they go out

Its ``run(end, wanted, last_id, most)`` goes from frame to frame until `end`, `most` answers, the end of the
room for answers, or a frame that it leaves to `lawow.channel.server`: of another operation, function
(`wanted`) or length, with flags, with an id that is not larger than the one before, a deadline below
`QUICK_DEADLINE_US`, or bits above a 32-bit number. Where `stop` is not zero no further call begins. What it
leaves is not judged here. Its text is that of WebAssembly's text format (specification, chapter 6).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lawow.channel.frames import COUNTED_BYTES, HEAD, Op
from lawow.channel.server import CALL_HEAD, RESULT_FIELDS
from lawow.channel.values import SLOT_BYTES
from lawow.formats.interface import FuncType
from lawow.formats.wasm_state import PAGE_BYTES

__all__ = [
    "ANSWERS_PLACE",
    "FRAMES_BYTES",
    "FRAMES_PLACE",
    "PROGRESS",
    "BurstShape",
    "burst_module",
    "shape_of",
    "wanted_calls",
]

FRAMES_PLACE = 64
ANSWERS_PLACE = 32 << 10
FRAMES_BYTES = ANSWERS_PLACE - FRAMES_PLACE
PROGRESS = struct.Struct("<IIII")
MICROSECONDS = struct.Struct("<I")
QUICK_DEADLINE_US = 1_000_000
"""Nobody looks at the deadline of a call in a burst before it has run for some milliseconds."""
RESULT_HEAD_BYTES = HEAD.size + RESULT_FIELDS.size
RUN_US = HEAD.size + 4


class BurstShape(NamedTuple):
    """How long a frame with a call and one with its answer are."""

    call_bytes: int
    answer_bytes: int

    def outcomes(self, answers: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the id and the payload of each answer."""
        payload_bytes = self.answer_bytes - HEAD.size
        return struct.iter_unpack(f"<4xI4x{payload_bytes}s", answers)

    def stamp(self, memory: memoryview, end: int, run_us: int) -> None:
        """Write into the answers, which stop at `end`, how long each call ran."""
        for at in range(ANSWERS_PLACE + RUN_US, end, self.answer_bytes):
            MICROSECONDS.pack_into(memory, at, run_us)


def shape_of(function: FuncType) -> BurstShape:
    """Return the lengths for a type of numbers alone."""
    call_bytes = CALL_HEAD.size + SLOT_BYTES * len(function.params)
    answer_bytes = RESULT_HEAD_BYTES + SLOT_BYTES * len(function.results)
    return BurstShape(call_bytes, answer_bytes)


def wanted_calls(function_id: int) -> int:
    """Return operation, flags and function of the frames of a burst, as one number of 64 bits."""
    return int(Op.CALL) | function_id << 32


def burst_module(function: FuncType) -> str:
    """Return the text of the module for functions of a type of numbers alone."""
    shape = shape_of(function)
    results = range(len(function.results))
    types = " ".join(function.results)
    return f"""(module
  (import "guest" "function" (func $function (param {" ".join(function.params)}) (result {types})))
  (memory (export "memory") 1 1)
  (func (export "run") (param $end i32) (param $wanted i64) (param $last i32) (param $most i32)
    (local $at i32) (local $out i32) (local $answered i32)
    {" ".join(f"(local $r{index} {function.results[index]})" for index in results)}
    (local.set $at (i32.const {FRAMES_PLACE}))
    (local.set $out (i32.const {ANSWERS_PLACE}))
    (block $done (loop $next
      (br_if $done (i32.load (i32.const 0)))
      (br_if $done (i32.ge_u (local.get $answered) (local.get $most)))
      (br_if $done (i32.gt_u (local.get $out) (i32.const {PAGE_BYTES - shape.answer_bytes})))
      (br_if $done (i32.gt_u (i32.add (local.get $at) (i32.const {shape.call_bytes})) (local.get $end)))
      (br_if $done (i32.ne (i32.load (local.get $at)) (i32.const {_length(shape.call_bytes)})))
      (br_if $done (i64.ne (i64.load offset=8 (local.get $at)) (local.get $wanted)))
      (br_if $done (i32.le_u (i32.load offset=4 (local.get $at)) (local.get $last)))
      (br_if $done (i32.lt_u (i32.sub (i32.load offset=16 (local.get $at)) (i32.const 1))
        (i32.const {QUICK_DEADLINE_US - 1})))
      {_refusals(function)}
      (local.set $last (i32.load offset=4 (local.get $at)))
      (i32.store (i32.const 4) (local.get $at))
      {_loads(function)}
      call $function
      {" ".join(f"local.set $r{index}" for index in reversed(results))}
      (i32.store (local.get $out) (i32.const {_length(shape.answer_bytes)}))
      (i32.store offset=4 (local.get $out) (local.get $last))
      (i64.store offset=8 (local.get $out) (i64.const {int(Op.RESULT)}))
      (i32.store offset=16 (local.get $out) (i32.const 0))
      {_stores(function)}
      (local.set $at (i32.add (local.get $at) (i32.const {shape.call_bytes})))
      (local.set $out (i32.add (local.get $out) (i32.const {shape.answer_bytes})))
      (local.set $answered (i32.add (local.get $answered) (i32.const 1)))
      (i32.store (i32.const 8) (local.get $answered))
      (i32.store (i32.const 12) (local.get $out))
      (br_if $next (i32.eqz (i32.load (i32.const 0))))))))
"""


# The end of the loop looks at `stop` before it goes back, where the engine may stop it at a deadline: a call
# that was to be stopped and has its answer by then must not cost the instance.


def _length(frame_bytes: int) -> int:
    """Return what the first field of a frame of so many bytes says."""
    return frame_bytes - HEAD.size + COUNTED_BYTES


def _is_short(kind: str) -> bool:
    return kind in ("i32", "f32")


def _slots(first: int, count: int) -> range:
    return range(first, first + SLOT_BYTES * count, SLOT_BYTES)


def _refusals(function: FuncType) -> str:
    """Leave frames with bits that belong to no argument."""
    places = zip(_slots(CALL_HEAD.size, len(function.params)), function.params, strict=True)
    return "\n      ".join(
        f"(br_if $done (i32.load offset={place + 4} (local.get $at)))"
        for place, kind in places
        if _is_short(kind)
    )


def _loads(function: FuncType) -> str:
    places = zip(_slots(CALL_HEAD.size, len(function.params)), function.params, strict=True)
    return "\n      ".join(f"({kind}.load offset={place} (local.get $at))" for place, kind in places)


def _stores(function: FuncType) -> str:
    """Write the time that the call ran, which is known later, and the results."""
    lines = [f"(i32.store offset={RUN_US} (local.get $out) (i32.const 0))"]
    places = _slots(RESULT_HEAD_BYTES, len(function.results))
    for index, (place, kind) in enumerate(zip(places, function.results, strict=True)):
        lines.append(f"({kind}.store offset={place} (local.get $out) (local.get $r{index}))")
        if _is_short(kind):
            lines.append(f"(i32.store offset={place + 4} (local.get $out) (i32.const 0))")
    return "\n      ".join(lines)
