"""Starting the edge's throw-away processes, waiting for them, and ending them when they are late."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

from lawow.edge.refusals import EdgeRefusal

__all__ = ["CHILD_ENVIRONMENT", "ChildUnavailable", "python_command", "run_child"]

CHILD_ENVIRONMENT = {"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"}
"""All that a child learns of our environment: no secret of the operator's shell reaches untrusted code.

NumPy, which inference needs for its arrays alone, would else start a thread for each processor.
"""


class ChildUnavailable(EdgeRefusal):
    """The operating system did not give us a process."""

    code = "busy"


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules: isolated from environment, user site and folder."""
    return [sys.executable, "-I", "-m", module, str(os.getpid()), *arguments]


async def run_child(command: list[str], *, stdin: int, stdout: int, wall_seconds: float) -> int:
    """Run a command to its end and return its status, negative for a signal (SIGKILL if it was late)."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=stdin,
            stdout=stdout,
            stderr=asyncio.subprocess.DEVNULL,
            env=CHILD_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise ChildUnavailable(
            f"no process could be started: {error.strerror}", retry_after_seconds=2
        ) from None
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(wall_seconds):
                return await process.wait()
        return await _kill(process)
    except BaseException:
        await asyncio.shield(_kill(process))
        raise


async def _kill(process: asyncio.subprocess.Process) -> int:
    with suppress(ProcessLookupError):
        process.kill()
    return await process.wait()
