"""The modules of the figures are found in a clone, wherever the package was installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.errors import UsageError
from lawow.figures import clone
from lawow.figures.detection import detector_files
from lawow.figures.table1 import find_modules
from tests.conftest import ROOT


@pytest.fixture
def installed_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As after ``pip install .``: beside the package there are no fixtures."""
    monkeypatch.setattr(clone, "BESIDE_PACKAGE", tmp_path)


@pytest.mark.usefixtures("installed_elsewhere")
def test_an_installed_package_finds_them_in_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert (find_modules(None) / "matrix.wasm").is_file()
    guest, model = detector_files()
    assert guest.startswith(b"\0asm")
    assert model


@pytest.mark.usefixtures("installed_elsewhere")
def test_elsewhere_the_clone_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="run in the folder of a clone, or give --modules"):
        find_modules(None)
    with pytest.raises(UsageError, match="run in the folder of a clone"):
        detector_files()
