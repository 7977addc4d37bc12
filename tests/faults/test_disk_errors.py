"""F3: whatever system call of the edge's stores the disk refuses, nothing is half there and all goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.storage import Report, judge
from tests.faults.tracing import places, traced

ERRORS = {
    "pwrite64": ("ENOSPC", "EIO"),
    "write": ("ENOSPC",),
    "fsync": ("EIO",),
    "fdatasync": ("EIO",),
    "rename": ("ENOSPC", "EIO"),
    "mkdir": ("ENOSPC",),
    "ftruncate": ("EIO",),
    "openat": ("ENOSPC", "EMFILE"),
    "unlink": ("EIO",),
    "close": ("EIO",),
}
EVERY = 1 if os.environ.get("LAWOW_FAULTS") == "all" else 41
"""In the short form one place of forty-one, so that each call and most errors have one."""


def cases(found: dict[str, list[int]], *, lasting: bool) -> list[tuple[str, str, int]]:
    """Return calls, errors and places. From then on: without close, whose later calls are not the edge's."""
    calls = [call for call in ERRORS if not (lasting and call == "close")]
    return [(call, error, when) for call in calls for error in ERRORS[call] for when in found[call]][::EVERY]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[int]]:
    """Where the steps touch their folder, by a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("clean")
    done = traced(folder / "data", folder / "log", "-e", f"trace={','.join(ERRORS)}")
    report = Report.read(done.stdout)
    assert (done.returncode, report.refused, judge(folder / "data", report)) == (0, (), []), done.stderr
    return places(folder / "log", folder / "data")


@pytest.mark.promise("F3")
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_an_error_of_any_system_call_leaves_nothing_half_there(
    found: dict[str, list[int]], tmp_path: Path, lasting: bool
) -> None:
    """Once: at most the step that it hits is refused. From then on: every step is refused or harmless."""
    chosen = cases(found, lasting=lasting)
    for number, (call, error, when) in enumerate(chosen):
        data, last = tmp_path / f"{number}" / "data", "+" if lasting else ""
        data.parent.mkdir()
        fault = f"inject={call}:error={error}:when={when}{last}"
        done = traced(data, tmp_path / "log", "-e", fault)
        report = Report.read(done.stdout)
        assert done.returncode == 0, f"{fault}: {done.stderr}"
        assert not done.stderr, fault
        assert lasting or len(report.refused) <= 1, f"{fault}: {report.refused}"
        if "open" not in report.refused and call != "openat":
            assert "usage" not in report.refused, f"{fault}: reading does not go on"
        assert judge(data, report) == [], fault
    print(f"F3: {len(chosen)} places, {'lasting' if lasting else 'single'} errors, 0 inconsistent")
