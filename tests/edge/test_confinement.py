"""The fences of a child process: what it cannot do any more."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lawow.edge import syscalls
from tests.tools import run

SETUP = """
import ctypes, os, signal, socket, sys, threading, time, resource
from lawow.edge.confinement import *
begin_child(os.getppid())
limit_child(ChildLimits(data_bytes=256 << 20))
other = os.getppid()
libc = ctypes.CDLL(None, use_errno=True)
pair = socket.socketpair()
assert close_filter()
def refused(action):
    try:
        action()
    except OSError as error:
        assert error.errno == 1, error
        return
    raise AssertionError("it was allowed")
"""

FORBIDDEN = {
    "open a file to read": "os.open('/etc/passwd', os.O_RDONLY)",
    "open a file to write": "os.open('/tmp/x', os.O_WRONLY | os.O_CREAT)",
    "list a folder": "os.listdir('/')",
    "look at a file": "os.stat('/')",
    "make a socket": "socket.socket()",
    "make a pair of sockets": "socket.socketpair()",
    "fork": "os.fork()",
    "run a program": "os.execv('/bin/true', ['true'])",
    "kill the parent": "os.kill(other, signal.SIGKILL)",
    "kill anybody": "os.kill(-1, signal.SIGKILL)",
    "raise a limit": "resource.prlimit(other, resource.RLIMIT_CORE, (0, 0))",
    "make a pipe": "os.pipe()",
    "remove a file": "os.unlink('/tmp/x')",
    "rename a file": "os.rename('/tmp/x', '/tmp/y')",
    "make a file in memory": "os.memfd_create('x')",
    "change the user": "os.setuid(1)",
    "change the root": "os.chroot('/')",
    "send descriptors": "socket.send_fds(pair[0], [b'x'], [0])",
    "copy a descriptor": "os.dup(0)",
}


def child(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", SETUP + code], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def attempts() -> str:
    """All forbidden actions, tried in one child; its output has a line for each that was refused."""
    lines = [f"refused(lambda: {action}); print({name!r})" for name, action in FORBIDDEN.items()]
    done = child("\n".join([*lines, "sys.stdout.flush()"]))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.promise("N8")
@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_fenced_process_cannot(attempts: str, name: str) -> None:
    assert name in attempts.splitlines()


def test_a_fenced_process_still_computes_and_has_threads_and_clocks() -> None:
    code = """
done = []
thread = threading.Thread(target=lambda: done.append(sum(range(1000))))
thread.start(); thread.join()
time.sleep(0.001)
assert done and os.urandom(8) and time.time() and len(bytes(50 << 20))
print("computed")
"""
    done = child(code)
    assert done.stdout == "computed\n", done.stderr


def test_memory_beyond_the_limit_is_not_given() -> None:
    done = child("""
try:
    bytearray(400 << 20)
except MemoryError:
    print("refused")
""")
    assert done.stdout == "refused\n", done.stderr


def test_signals_reach_the_process_itself_alone() -> None:
    done = child("os.abort()")
    assert done.returncode == -6


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    names = {
        **syscalls.allowed_syscalls(machine),
        "clone": syscalls.CLONE[machine],
        "clone3": syscalls.CLONE3,
        "tgkill": syscalls.TGKILL[machine],
        "prlimit64": syscalls.PRLIMIT64[machine],
        "fcntl": syscalls.FCNTL[machine],
        "ioctl": syscalls.IOCTL[machine],
    }
    header = {"x86_64": "asm/unistd_64.h", "aarch64": "asm-generic/unistd.h"}[machine]
    # asm/unistd.h of arm64 defines these before it includes the generic table.
    text = run(
        "gcc",
        "-E",
        "-dM",
        "-D__ARCH_WANT_NEW_STAT",
        "-D__ARCH_WANT_SYS_CLONE3",
        "-include",
        header,
        "-x",
        "c",
        "/dev/null",
    ).stdout
    found = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)\b", text)}
    assert {name: found[name] for name in names} == names


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the other architecture's filter cannot run here")
def test_a_filter_of_the_other_architecture_is_well_formed() -> None:
    """Every jump lands inside of the program, and every path ends in a return."""
    for machine in syscalls.ARCHITECTURES:
        program = syscalls.filter_program(machine, 1234)
        instructions = [syscalls.INSTRUCTION.unpack_from(program, at) for at in range(0, len(program), 8)]
        assert len(instructions) < 4096
        for index, (code, on_true, on_false, _) in enumerate(instructions):
            if code in (syscalls.EQUAL, syscalls.BITS):
                assert index + 1 + max(on_true, on_false) < len(instructions)
        assert instructions[-1][0] == syscalls.RETURN


def test_the_children_leave_no_core_dump_and_gain_no_rights(tmp_path: Path) -> None:
    done = child("""
print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_FSIZE), libc.prctl(39, 0,
0, 0, 0))
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(0, 0) (0, 0)")
