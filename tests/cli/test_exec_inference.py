"""``lawow exec --grant nn``: the detector of the fixtures, and what a user is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy
import onnxruntime
import pytest

from tests.runtime.builders import wat
from tests.runtime.nn import models
from tests.runtime.nn.builders import DETECTOR, EDGES, picture
from tests.runtime.wasmedge import wasmedge

ROOT = Path(__file__).resolve().parent.parent.parent
CELL = 8
WIDTH, HEIGHT, BOX = 64, 40, (35, 17, 6, 5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a picture, the model and a cache."""
    (tmp_path / "image.pgm").write_bytes(picture(WIDTH, HEIGHT, BOX))
    (tmp_path / "edges.onnx").write_bytes(EDGES.read_bytes())
    return tmp_path


def execute(folder: Path, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lawow", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache"), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def detect(folder: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return execute(folder, "exec", DETECTOR, "detect", "@image.pgm", *options)


NAMED = ("--grant", "nn", "--model", "edges=edges.onnx")


def expected() -> list[int]:
    """Return the box by ONNX Runtime's own package, and arithmetic in Python around it."""
    pixels = numpy.frombuffer(picture(WIDTH, HEIGHT, BOX)[-WIDTH * HEIGHT :], numpy.uint8)
    image = (pixels.astype(numpy.float32) / 255).reshape(1, 1, HEIGHT, WIDTH)
    session = onnxruntime.InferenceSession(EDGES.read_bytes(), providers=["CPUExecutionProvider"])
    strength, cell = session.run(None, {"image": image})
    row, column = divmod(int(cell[0]), WIDTH // CELL)
    return [column * CELL, row * CELL, CELL, CELL, int(strength.max() * 1000 + 0.5)]


def test_the_detector_finds_the_box_that_the_library_finds(folder: Path) -> None:
    for _ in range(2):  # compiled, and from the cache
        done = detect(folder, *NAMED)
        assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, expected(), "")
    x, y, width, height = expected()[:4]
    assert x <= BOX[0] < x + width
    assert y <= BOX[1] < y + height


def test_a_guest_brings_its_own_model(folder: Path) -> None:
    done = execute(
        folder, "exec", DETECTOR, "detect_with", "@image.pgm", "@edges.onnx", "0", "--grant", "nn", "--json"
    )
    found = json.loads(done.stdout)
    assert found["results"] == [expected()]
    (use,) = found["nn"]["models"]
    assert (use["asked"], use["device"], use["nodes"]) == ("cpu", "cpu", {"CPUExecutionProvider": 6})
    assert (use["runs"], use["note"], found["nn"]["refusals"]) == (1, None, [])


def test_repeated_runs_have_instances_of_their_own_and_one_session(folder: Path) -> None:
    done = detect(folder, *NAMED, "--device", "cpu", "--repeat", "5", "--json")
    found = json.loads(done.stdout)
    assert (found["results"], found["repeated"]["count"]) == ([expected()], 5)
    assert [(use["name"], use["runs"]) for use in found["nn"]["models"]] == [("edges", 5)]


def test_where_models_ran_is_printed_with_the_times(folder: Path) -> None:
    done = detect(folder, *NAMED, "--device", "cpu", "--time")
    assert "nn: edges: cpu (6 nodes on CPUExecutionProvider), 1 run in " in done.stderr


def test_what_a_guest_is_refused_is_told_to_the_user(folder: Path) -> None:
    """The guest returns the negative code; the sentence is for the person."""
    done = detect(folder, "--grant", "nn", "--model", "other=edges.onnx")
    assert (done.returncode, done.stdout) == (0, "[-8]\n")
    assert done.stderr == ("lawow: nn: load_by_name: no model is named 'edges'; granted: other (not_found)\n")


def test_a_gpu_that_is_not_there_is_refused_with_the_reason(folder: Path) -> None:
    if "gpu" in json.loads(execute(folder, "engines", "--json").stdout)["nn"]["devices"]:
        pytest.skip("there is a GPU here; tests/runtime/nn/test_gpu.py uses it")
    done = detect(folder, *NAMED, "--device", "gpu", "--json")
    assert json.loads(done.stdout)["results"] == [[-6]]
    assert "edges cannot run on a GPU: " in done.stderr
    done = detect(folder, *NAMED, "--device", "auto", "--json")
    (use,) = json.loads(done.stdout)["nn"]["models"]
    assert (use["asked"], use["device"]) == ("auto", "cpu")
    assert use["note"].startswith("edges cannot run on a GPU: ")


@pytest.mark.parametrize("data", [models.endless(), models.slow_to_load(400)], ids=["run", "load"])
def test_a_model_that_does_not_end_ends_at_the_deadline(folder: Path, data: bytes) -> None:
    """While it runs, and while the library folds its constants."""
    (folder / "model.onnx").write_bytes(data)
    (folder / "guest.wasm").write_bytes(
        wat("""
        (module
          (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
          (import "wasi_ephemeral_nn" "init_execution_context" (func $init (param i32 i32) (result i32)))
          (import "wasi_ephemeral_nn" "set_input" (func $set (param i32 i32 i32) (result i32)))
          (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 100) "m")
          (data (i32.const 200) "\\c8\\01\\00\\00\\01\\00\\00\\00\\01\\00\\00\\00\\00\\02\\00\\00\\04")
          (data (i32.const 456) "\\01")
          (func (export "run") (result i32)
            (if (call $load (i32.const 100) (i32.const 1) (i32.const 0)) (then (return (i32.const 1))))
            (drop (call $init (i32.const 0) (i32.const 0)))
            (drop (call $set (i32.const 0) (i32.const 0) (i32.const 200)))
            (call $compute (i32.const 0))))
        """)
    )
    started = time.monotonic()
    options = ("--grant", "nn", "--model", "m=model.onnx", "--device", "cpu", "--timeout", "2")
    done = execute(folder, "exec", "guest.wasm", "run", *options)
    assert (done.returncode, "deadline_seconds is more than 2" in done.stderr) == (4, True)
    assert time.monotonic() - started < 30


def test_without_the_grant_nothing_is_imported_and_the_option_is_named(folder: Path) -> None:
    done = detect(folder)
    assert (done.returncode, "(wasi-nn: --grant nn)" in done.stderr) == (4, True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--model", "edges=edges.onnx"), "add --grant nn"),
        (("--device", "cpu"), "add --grant nn"),
        (("--grant", "nn", "--model", "edges.onnx"), "give NAME=FILE"),
        (("--grant", "nn", "--model", "=edges.onnx"), "give NAME=FILE"),
        (("--grant", "nn", "--model", "edges=nowhere"), "'nowhere' is no file"),
        (("--grant", "nn", "--model", "a=edges.onnx", "--model", "a=image.pgm"), "two models are named a"),
        (("--grant", "nn", "--device", "tpu"), "'auto', 'cpu', 'gpu'"),
    ],
)
def test_options_that_mean_nothing_are_refused(folder: Path, options: tuple[str, ...], sentence: str) -> None:
    done = detect(folder, *options)
    assert (done.returncode, sentence in done.stderr) == (2, True)


def test_without_the_library_the_command_that_installs_it_is_told(folder: Path) -> None:
    """An installation without the extra: the package cannot be found."""
    (folder / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, path=None, target=None: (\n"
        "    None if name in ('onnxruntime', 'numpy') else find(name, path, target))\n"
    )
    hidden = {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    done = execute(folder, "exec", DETECTOR, "detect", "@image.pgm", "--grant", "nn", **hidden)
    assert (done.returncode, done.stdout) == (1, "")
    assert "--grant nn needs ONNX Runtime; pip install 'lawow[nn]'" in done.stderr
    found = json.loads(execute(folder, "engines", "--json", **hidden).stdout)["nn"]
    assert (found["version"], found["devices"], "pip install" in found["problem"]) == (None, [], True)


def test_wasmedge_and_components_have_no_inference(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAWOW_WASMEDGE", wasmedge())
    done = detect(folder, *NAMED, "--engine", "wasmedge")
    assert (done.returncode, "nobody provides" in done.stderr) == (4, True)
    (folder / "empty.wasm").write_bytes(b"\0asm\x0d\0\1\0")
    done = execute(folder, "exec", "empty.wasm", "f", "--grant", "nn")
    assert (done.returncode, "is for core modules" in done.stderr) == (2, True)


def test_the_engines_list_what_is_here_for_inference(folder: Path) -> None:
    done = execute(folder, "engines")
    assert f"nn  onnxruntime {onnxruntime.__version__}  " in done.stdout
    found = json.loads(execute(folder, "engines", "--json").stdout)["nn"]
    assert (found["version"], found["problem"]) == (onnxruntime.__version__, None)
    assert found["devices"][0] == "cpu"


def test_a_list_of_bytes_can_be_a_file(folder: Path) -> None:
    (folder / "bytes").write_bytes(b"\x01\xff\x03")
    arrays = ROOT / "fixtures" / "wasm" / "arrays.wasm"
    done = execute(folder, "exec", arrays, "fill", "@bytes", "7", "--signature", "&[bi>", "--json")
    assert json.loads(done.stdout)["changed"] == {"0": [7, 7, 7]}
    done = execute(folder, "exec", arrays, "fill", "@nowhere", "7", "--signature", "&[bi>")
    assert (done.returncode, "nowhere" in done.stderr) == (1, True)
    done = execute(folder, "exec", arrays, "sum", "@bytes", "--signature", "&[i>i")
    assert (done.returncode, "JSON such as [1, 2, 3]" in done.stderr) == (2, True)
