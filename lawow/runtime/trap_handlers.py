"""The process's handlers of trap signals, kept for it while WasmEdge's library uses its own.

Compiled code traps by signals. When its first call begins WasmEdge puts its own handlers in place of those
it finds, and when its last call ends it leaves the default action behind: the next trap of another engine in
this process would end the process. So the handlers are put back here. While a call runs they are WasmEdge's,
and another engine must not run at the same time.

A guest that is left behind never ends its call, so WasmEdge puts no handlers in place any more; then these
are kept, too, and put in place for it.
"""

from __future__ import annotations

import signal
from ctypes import CDLL, create_string_buffer
from threading import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import Array, c_char
    from types import TracebackType

    Actions = list[Array[c_char]]

__all__ = ["TRAP_HANDLERS", "TrapHandlers"]

_C = CDLL(None)
_SIGNALS = (signal.SIGFPE, signal.SIGBUS, signal.SIGSEGV)
_ACTION_BYTES = 256  # struct sigaction: 152 on x86_64 and aarch64


class TrapHandlers:
    """To be entered around every call. There is one for the process: `TRAP_HANDLERS`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls = 0
        self._own: Actions = []
        self._of_engine: Actions = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._calls:
                self._own = _present()
                _put(self._of_engine)
            self._calls += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._calls -= 1
            if not self._calls:
                _put(self._own)

    def keep_engine_handlers(self) -> None:
        """Keep the present handlers as the engine's: a guest is being left behind in a call."""
        with self._lock:
            self._of_engine = _present()


TRAP_HANDLERS = TrapHandlers()


def _present() -> Actions:
    """Return the handlers as they are, each a ``struct sigaction``."""
    actions = [create_string_buffer(_ACTION_BYTES) for _ in _SIGNALS]
    for number, action in zip(_SIGNALS, actions, strict=True):
        _C.sigaction(int(number), None, action)
    return actions


def _put(actions: Actions) -> None:
    """Put handlers in place; none changes nothing."""
    for number, action in zip(_SIGNALS, actions, strict=False):
        _C.sigaction(int(number), action, None)
