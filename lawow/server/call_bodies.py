"""The bodies of calls and of their answers: JSON, or ``application/vnd.lawow.values``.

Numbers alone take the short way through `lawow.channel.values`; signatures with strings or lists go through
`lawow.channel.bodies` and `lawow.channel.documents`. A large document is worked on in a thread, so that
nobody else's request waits for it. Defined by docs/edge.md, "Values".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fastapi.responses import JSONResponse, Response

from lawow.channel.bodies import read_arguments, read_returned, write_arguments
from lawow.channel.documents import arguments_of_json, json_of_returned
from lawow.channel.values import decode_slots, encode_slots, json_of_values, values_of_json
from lawow.edge.module_store import StoredExport
from lawow.edge.refusals import BadArguments
from lawow.edge.supervisor import Finished
from lawow.errors import FormatError
from lawow.formats.signature import parse_typed_signature
from lawow.server.descriptions import VALUES_MEDIA_TYPE

__all__ = ["GivenCall", "answer_call", "read_call"]

LARGE_BYTES = 16 << 10
"""JSON of this size takes about a millisecond."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class GivenCall:
    """What a call's body says: the arguments as a body of values, and the deadline if it names one."""

    body: bytes
    deadline_seconds: float | None


async def read_call(media_type: str, export: StoredExport, body: bytes) -> GivenCall:
    """Return what a request says. Raises `BadArguments`."""
    if media_type == VALUES_MEDIA_TYPE:
        return GivenCall(body, None)
    return await _apart(len(body), lambda: _read_json(export.signature, body))


async def answer_call(
    media_type: str, export: StoredExport, given: GivenCall, finished: Finished, transfer_seconds: float
) -> Response:
    """Return the answer, in the form of the request."""
    seconds = {"transfer": transfer_seconds, "prepare": finished.prepare_seconds, "run": finished.run_seconds}
    headers = {
        "server-timing": ", ".join(f"{name};dur={value * 1000:.3f}" for name, value in seconds.items()),
        "lawow-peak-memory-bytes": str(finished.peak_memory_bytes),
    }
    if media_type == VALUES_MEDIA_TYPE:
        return Response(finished.results, media_type=VALUES_MEDIA_TYPE, headers=headers)

    def make() -> Response:
        document = _result_document(export.signature, given.body, finished.results)
        return JSONResponse({**document, "seconds": seconds}, headers=headers)

    return await _apart(len(finished.results), make)


async def _apart(size_bytes: int, work: Callable[[], Answer]) -> Answer:
    """Do what takes long in a thread, and everything else at once."""
    return work() if size_bytes < LARGE_BYTES else await asyncio.to_thread(work)


def _read_json(text: str, body: bytes) -> GivenCall:
    """Read ``{"arguments": [...], "deadline_seconds": ...}``. Raises `BadArguments`."""
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadArguments("the body is not valid JSON") from None
    if not isinstance(document, dict) or not set(document) <= {"arguments", "deadline_seconds"}:
        raise BadArguments('the body must be {"arguments": [...]}, and may have "deadline_seconds"')
    deadline = document.get("deadline_seconds")
    if deadline is not None and (isinstance(deadline, bool) or not isinstance(deadline, int | float)):
        raise BadArguments("deadline_seconds must be a number")
    try:
        return GivenCall(_arguments_body(text, document.get("arguments")), deadline)
    except FormatError as error:
        raise BadArguments(str(error)) from None


def _arguments_body(text: str, items: object) -> bytes:
    signature = parse_typed_signature(text)
    if signature.is_core:
        letters = text.partition(">")[0]
        return encode_slots(letters, values_of_json(letters, items))
    return write_arguments(arguments_of_json(signature, items))


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON; write it as a string")


def _result_document(text: str, arguments: bytes, results: bytes) -> dict[str, object]:
    """Return what the results are in JSON; they have been checked where they came from."""
    signature = parse_typed_signature(text)
    if signature.is_core:
        letters = text.partition(">")[2]
        return {"results": json_of_values(letters, decode_slots(letters, results))}
    returned = read_returned(signature, read_arguments(signature, arguments), results)
    values, changed = json_of_returned(signature, returned)
    return {"results": values, "changed": changed}
