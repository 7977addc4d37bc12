"""The system calls that a worker may make, and the kernel filter (seccomp, BPF) that refuses all others.

A worker computes and answers on sockets that it has been given, the connections of its own listening socket
among them, so it needs no file, no other socket, no new process and no look at other processes. What is not
in the tables fails with EPERM; a call for another machine architecture ends the process. Some calls are
allowed for certain arguments alone (`SPECIAL`). Numbers: Linux ``asm/unistd_64.h`` (x86_64) and
``asm-generic/unistd.h`` (aarch64).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable

__all__ = ["ARCHITECTURES", "allowed_syscalls", "filter_program"]

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Machine -> AUDIT_ARCH number."""

PLAIN: dict[str, tuple[int | None, int | None]] = {
    # messages on the socket, and reading what is open already
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "sendto": (44, 206),
    "accept4": (288, 242),
    "getsockname": (51, 204),
    "getpeername": (52, 205),
    "getsockopt": (55, 209),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "epoll_ctl": (233, 21),
    "poll": (7, None),
    "ppoll": (271, 73),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    # memory
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "membarrier": (324, 283),
    # threads, clocks, signals of this process
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
}
"""Name -> number on x86_64 and on aarch64; None where the architecture has no such call."""

CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435
TGKILL = {"x86_64": 234, "aarch64": 131}
PRLIMIT64 = {"x86_64": 302, "aarch64": 261}
FCNTL = {"x86_64": 72, "aarch64": 25}
IOCTL = {"x86_64": 16, "aarch64": 29}

CLONE_THREAD = 0x10000
FCNTL_COMMANDS = (1, 2, 3)  # F_GETFD, F_SETFD, F_GETFL: nothing that makes or signals anything

FIONBIO = 0x5421  # whether a socket blocks

# Classic BPF. Offsets into struct seccomp_data: nr, arch, then arguments of 8 bytes, low half first.
LOAD, EQUAL, BITS, RETURN = 0x20, 0x15, 0x45, 0x06
OFFSET_NUMBER, OFFSET_ARCHITECTURE, OFFSET_ARGUMENTS = 0, 4, 16
ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
REFUSE = 0x00050000 | errno.EPERM
UNKNOWN = 0x00050000 | errno.ENOSYS
INSTRUCTION = struct.Struct("=HBBI")

Instruction = tuple[int, int, int, int]


def allowed_syscalls(machine: str) -> dict[str, int]:
    """Return the calls that are allowed whatever their arguments, by name."""
    column = list(ARCHITECTURES).index(machine)
    return {name: number for name, numbers in PLAIN.items() if (number := numbers[column]) is not None}


def filter_program(machine: str, process_id: int) -> bytes:
    """Return the filter as an array of ``struct sock_filter``, for the process that `process_id` names."""
    program: list[Instruction] = [
        (LOAD, 0, 0, OFFSET_ARCHITECTURE),
        (EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, OFFSET_NUMBER),
    ]
    for number in allowed_syscalls(machine).values():
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    for rule in SPECIAL:
        program += rule(machine, process_id)
    program.append((RETURN, 0, 0, REFUSE))
    return b"".join(INSTRUCTION.pack(*instruction) for instruction in program)


def _when(number: int, body: list[Instruction]) -> list[Instruction]:
    """Run `body`, which returns on every path, if the call is `number`."""
    return [(EQUAL, 0, len(body), number), *body]


def _argument(index: int) -> Instruction:
    return (LOAD, 0, 0, OFFSET_ARGUMENTS + 8 * index)


def _threads_only(machine: str, _: int) -> list[Instruction]:
    """`clone` makes threads, never processes."""
    check = [_argument(0), (BITS, 0, 1, CLONE_THREAD), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    return _when(CLONE[machine], check)


def _no_clone3(_: str, __: int) -> list[Instruction]:
    """`clone3` keeps its flags in memory, out of a filter's sight; told it is unknown, libc uses `clone`."""
    return _when(CLONE3, [(RETURN, 0, 0, UNKNOWN)])


def _signal_itself_only(machine: str, process_id: int) -> list[Instruction]:
    """`tgkill` reaches this process alone: `abort` needs that."""
    check = [_argument(0), (EQUAL, 0, 1, process_id), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    return _when(TGKILL[machine], check)


def _own_limits_only(machine: str, _: int) -> list[Instruction]:
    """`prlimit64` with process 0: libc asks for its own stack size through it."""
    check = [_argument(0), (EQUAL, 0, 1, 0), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    return _when(PRLIMIT64[machine], check)


def _harmless_fcntl(machine: str, _: int) -> list[Instruction]:
    """`fcntl` for the flags of descriptors."""
    body = [_argument(1)]
    for command in FCNTL_COMMANDS:
        body += [(EQUAL, 0, 1, command), (RETURN, 0, 0, ALLOW)]
    return _when(FCNTL[machine], [*body, (RETURN, 0, 0, REFUSE)])


def _block_or_not(machine: str, _: int) -> list[Instruction]:
    """`ioctl` to let a connection that was accepted not block."""
    check = [_argument(1), (EQUAL, 0, 1, FIONBIO), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    return _when(IOCTL[machine], check)


SPECIAL: tuple[Callable[[str, int], list[Instruction]], ...] = (
    _threads_only,
    _no_clone3,
    _signal_itself_only,
    _own_limits_only,
    _harmless_fcntl,
    _block_or_not,
)
"""Rules that look at arguments."""
