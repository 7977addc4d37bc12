"""What a call costs on the wire, and from when on it pays: from the types alone, before anything runs.

A call is one HTTP request over a connection that is open already. Its values take 8 bytes each
(``application/vnd.lawow.values``). The heads are estimates: a request of this form, sent by hand, measured
426 bytes with its one value; the answer's head is taken to be as long. Time: ``remote = edge time + round
trip + bytes / bandwidth``, both directions on one link; offloading pays where that is less than the local
time.
"""

from __future__ import annotations

from dataclasses import dataclass

from lawow.errors import UsageError
from lawow.formats.bundle import BoundMethod
from lawow.formats.dex.symbols import Proto, parse_method_descriptor
from lawow.formats.signature import ListType, ScalarType, ValueType, parse_typed_signature
from lawow.refactor.binding import MULTI_VALUE
from lawow.refactor.names import Names
from lawow.refactor.plan import SplitPlan

__all__ = ["BreakEven", "CallCost", "break_even", "call_cost", "call_costs"]

REQUEST_HEAD_BYTES = 420
RESPONSE_HEAD_BYTES = 430
RECORD_BYTES = 22
"""TLS 1.3: head of 5, content type of 1, authentication tag of 16."""
VALUE_BYTES = 8
_GRAPH_BYTES = 2 * VALUE_BYTES
"""What an element of a graph takes, both ways: a long or a field."""


@dataclass(frozen=True, slots=True)
class CallCost:
    """Bytes of one call of a method. `per_element_bytes` adds to both ways for each element of its arrays."""

    method: str
    types: str
    arguments_bytes: int
    results_bytes: int
    per_element_bytes: int

    @property
    def request_bytes(self) -> int:
        """Bytes that leave the device for one call, without array elements."""
        return REQUEST_HEAD_BYTES + RECORD_BYTES + self.arguments_bytes

    @property
    def response_bytes(self) -> int:
        """Bytes that come back."""
        return RESPONSE_HEAD_BYTES + RECORD_BYTES + self.results_bytes

    @property
    def total_bytes(self) -> int:
        """Both ways."""
        return self.request_bytes + self.response_bytes


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Where a call takes the same time on the device and on the edge. Times in seconds.

    `round_trip_seconds` is the longest round trip that still pays on a link without limit; None when the
    edge is not faster at all. `bits_per_second` is the least bandwidth that pays at half of it.
    """

    local_seconds: float
    remote_seconds: float
    total_bytes: int
    round_trip_seconds: float | None

    @property
    def bits_per_second(self) -> float | None:
        """The least bandwidth that pays when the round trip is half the longest."""
        return None if self.round_trip_seconds is None else self.bandwidth_at(self.round_trip_seconds / 2)

    def bandwidth_at(self, round_trip_seconds: float) -> float | None:
        """Return the least bandwidth in bits per second that pays at a round-trip time; None if none does."""
        if self.round_trip_seconds is None or round_trip_seconds >= self.round_trip_seconds:
            return None
        return 8 * self.total_bytes / (self.round_trip_seconds - round_trip_seconds)


def call_costs(plan: SplitPlan) -> tuple[CallCost, ...]:
    """Return the cost of a call for every method that moves."""
    return tuple(call_cost(bound, plan.names) for move in plan.moves for bound in move.methods)


def call_cost(bound: BoundMethod, names: Names) -> CallCost:
    """Return the cost of a call of one method."""
    proto = parse_method_descriptor(bound.descriptor)
    results = bound.signature.partition(">")[2] if proto.return_type == MULTI_VALUE else proto.return_type
    owner = names.of_class(f"L{bound.class_name.replace('.', '/')};")
    signature = parse_typed_signature(bound.signature)
    return CallCost(
        method=f"{owner}.{bound.method}",
        types=bound.descriptor,
        arguments_bytes=VALUE_BYTES * len(proto.parameters),
        results_bytes=0
        if results == "V"
        else VALUE_BYTES * (1 if results == proto.return_type else len(results)),
        per_element_bytes=_GRAPH_BYTES
        if _has_graph(bound.signature, proto)
        else sum(map(_element_bytes, (*signature.params, *signature.results))),
    )


def _has_graph(signature: str, proto: Proto) -> bool:
    """Tell whether objects or arrays of arrays travel, in one list of bytes each way."""
    is_list_of_bytes = proto.parameters[:1] == ("[B",) and proto.return_type == "[B"
    return signature.startswith("[b") and signature.endswith(">[b") and not is_list_of_bytes


def _element_bytes(kind: ValueType) -> int:
    """Return what one element of a list, or one character of a string, takes: an in-out list comes back."""
    if isinstance(kind, ScalarType):
        return 0
    return kind.size_bytes * (2 if isinstance(kind, ListType) and kind.is_in_out else 1)


def break_even(
    cost: CallCost, local_seconds: float, remote_seconds: float, *, elements: int = 0
) -> BreakEven:
    """Return from when on a call pays, if it takes so long on the device and (computing alone) on the edge.

    Raises `UsageError` for times that are no times.
    """
    if not (0 < local_seconds < 1e6 and 0 <= remote_seconds < 1e6):
        raise UsageError(
            f"--local-ms and --remote-ms: found {local_seconds * 1000:g} and {remote_seconds * 1000:g},"
            " allowed are times above 0"
        )
    gain = local_seconds - remote_seconds
    total_bytes = cost.total_bytes + cost.per_element_bytes * elements
    return BreakEven(local_seconds, remote_seconds, total_bytes, gain if gain > 0 else None)
