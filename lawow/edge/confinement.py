"""The fences that a child process of the edge puts around itself before it touches anything untrusted.

Limits of the kernel, no new privileges, no core dump, death with its parent, first to be chosen when memory
runs out, and the filter of `lawow.edge.syscalls`. A child does this itself, after it has imported all that it
needs: between fork and exec of a process with threads it could not be done safely.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
from dataclasses import dataclass

from lawow.edge.syscalls import ARCHITECTURES, filter_program

__all__ = ["ChildLimits", "begin_child", "close_filter", "limit_child", "read_everything"]

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_TSYNC = 1
SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
OPEN_FILES = 32
NICENESS = 5  # the server answers before guests compute


class _FilterProgram(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """Limits of one child; None leaves a resource as it is."""

    address_space_bytes: int | None = None
    data_bytes: int | None = None
    cpu_seconds: int | None = None
    file_bytes: int = 0
    open_files: int = OPEN_FILES


def begin_child(parent: int) -> None:
    """Close all descriptors but the standard three, and stay with the parent.

    Event loops have leaked copies of descriptors into children. When the process that started this one ends,
    the kernel kills it; if that has happened already, it ends here.
    """
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def limit_child(limits: ChildLimits) -> None:
    """Lower this process's limits for good."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_DUMPABLE, 0)
    os.nice(NICENESS)
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_AS: limits.address_space_bytes,
        resource.RLIMIT_DATA: limits.data_bytes,
        resource.RLIMIT_CPU: limits.cpu_seconds,
    }
    for which, value in wanted.items():
        if value is not None:
            _, hard = resource.getrlimit(which)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (value, value))
    try:
        with open("/proc/self/oom_score_adj", "w") as stream:
            stream.write("1000")
    except OSError:
        return  # a container may mount /proc read-only; the other fences do not need this one


def read_everything(descriptor: int) -> bytes:
    """Read an open file to its end, by the one system call that needs nothing else."""
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def close_filter() -> bool:
    """Refuse this process all other system calls than `lawow.edge.syscalls`; False: the kernel cannot."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        return False
    code = filter_program(machine, os.getpid())
    program = _FilterProgram(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    status: int = libc.syscall(
        SYS_SECCOMP[machine], SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(program)
    )
    return status == 0


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl refused")
