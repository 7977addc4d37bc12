"""A worker that has let a module's code go tells the states of its sessions all the same."""

from __future__ import annotations

from lawow.edge.messages import NEEDS_CODE, NO_SESSION, Call, Failure, Open, Result, Save
from lawow.edge.worker_guests import MODULES_LOADED, Limits, Worker
from lawow.formats.state import decode_state
from lawow.formats.wasm_expose import expose_state
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import FIBONACCI, wat
from tests.runtime.state_programs import PROGRAMS

DIGEST = PROGRAMS["dispatcher"].digest


def test_the_code_is_asked_for_again_and_the_session_stays() -> None:
    engine = WasmtimeEngine(EDGE_PROFILE)
    code = engine.compile(expose_state(PROGRAMS["dispatcher"].wasm)).serialize()
    other = engine.compile(wat(FIBONACCI)).serialize()
    worker = Worker(engine, Limits(1 << 24, 1 << 20, 1 << 20, 1 << 20))
    worker.load(DIGEST, code)
    assert isinstance(worker.answer(Open(DIGEST, True, "s", 5.0)), Result)
    for number in range(MODULES_LOADED):
        worker.load(f"{number:064x}", other)
    assert worker.answer(Save(DIGEST, False, "s", 5.0)) == Failure(NEEDS_CODE, "")
    worker.load(DIGEST, code)
    answer = worker.answer(Save(DIGEST, True, "s", 5.0))
    assert isinstance(answer, Result)
    assert decode_state(answer.results).module == DIGEST
    call = Call(DIGEST, False, "run", "i>i", 5.0, bytes(8), "s")
    assert isinstance(worker.answer(call), Result)
    assert worker.answer(Save(DIGEST, False, "t", 5.0)) == Failure(NO_SESSION, "")
