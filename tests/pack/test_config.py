"""The table [pack] of lawow.toml: it says what the command line leaves open, and nothing unknown."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.errors import LawowError
from lawow.formats.toml import CONFIG_BYTES
from lawow.pack import PackOptions
from lawow.pack.config import NO_CONFIG, PackConfig, read_pack_config
from lawow.resources import android_stub
from tests.conftest import lawow
from tests.pack.builders import FIBONACCI, app_tree, wat

FULL = """
[classes]
resident = ["Legacy*"]
[pack]
package = "org.other"
modules = ["native/fft.wasm"]
abis = ["arm64-v8a"]
runtime = "wasmtime"
[pack.classes]
"fft.wasm" = "Fourier"
[pack.profile]
engine = "pulley"
mode = "local"
memory-bytes = 67_108_864
fuel = 1_000_000
timeout-seconds = 5
"""


def read(text: str | bytes) -> PackConfig:
    data = text.encode() if isinstance(text, str) else text
    return read_pack_config(data, name="lawow.toml")


def test_a_full_file_is_read_and_the_command_line_wins() -> None:
    config = read(FULL)
    options = config.completed(PackOptions(), Path("app"), None)
    assert options.wasm == (Path("app/native/fft.wasm"),)
    assert (options.package, options.abis, options.runtime) == ("org.other", ("arm64-v8a",), "wasmtime")
    assert options.class_names == {"fft.wasm": "Fourier"}
    asked = PackOptions(package="by.option", abis=("x86_64",), wasm=(Path("a.wasm"),))
    won = config.completed(asked, Path("app"), "none")
    assert (won.package, won.abis, won.wasm, won.runtime) == (
        "by.option", ("x86_64",), (Path("a.wasm"),), "none",
    )  # fmt: skip


def test_the_profile_has_the_keys_and_bounds_of_the_stub_library() -> None:
    lines = read(FULL).profile.to_bytes().decode().splitlines()[1:]
    assert lines == [
        "engine=pulley",
        "fuel=1000000",
        "memory.bytes=67108864",
        "mode=local",
        "timeout.seconds=5",
    ]
    java = android_stub("java", "dev", "lawow", "Configuration.java").read_text()
    known = set(re.findall(r'(?:text|number)\("([a-z.0-9]+)"', java))
    assert {line.partition("=")[0] for line in lines} <= known


def test_a_file_of_another_tool_says_nothing() -> None:
    assert read("[classes]\nresident = []\n") == read("") == NO_CONFIG


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[pak]\n", r"unknown key pak \(did you mean pack\?\)"),
        ("[pack]\nmodule = []\n", r"unknown key pack\.module \(did you mean modules"),
        (
            "[pack.profile]\nmemory = 1\n",
            r"unknown key pack\.profile\.memory \(did you mean memory-bytes\?\)",
        ),
        ("pack = 1\n", "pack must be a table"),
        ("[pack]\nclasses = 1\n", r"pack\.classes must be a table"),
        ("[pack]\nmodules = 'a.wasm'\n", r"pack\.modules must be a list of files"),
        ("[pack]\nmodules = ['']\n", r"pack\.modules must be a list of files"),
        ("[pack]\nabis = ['armeabi-v7a']\n", "no WebAssembly runtime for it"),
        ("[pack]\nruntime = 'wasm3'\n", r"pack\.runtime is unknown \(found wasm3"),
        ("[pack]\npackage = 'a..b'\n", "is not the name of a Java package"),
        ("[pack]\npackage = 7\n", r"pack\.package must be text"),
        ("[pack.classes]\n'a.wasm' = 'a.b'\n", "must be the name of a Java class"),
        ("[pack.classes]\n'a.wasm' = 'class'\n", "must be the name of a Java class"),
        ("[pack.classes]\n'a.wasm' = 'Ä'\n", "must be the name of a Java class"),
        ("[pack.profile]\nengine = 'jit'\n", r"engine is unknown .*native or pulley"),
        ("[pack.profile]\nfuel = 0\n", r"fuel is no number in its range \(found 0, allowed 1 to"),
        ("[pack.profile]\nfuel = true\n", "fuel is no number"),
        ("[pack.profile]\ntimeout-seconds = 86401\n", "timeout-seconds is no number"),
        ("[pack", "is not TOML"),
        (b"\xff", "is not TOML"),
        ("#" * (CONFIG_BYTES + 1), "file size in bytes"),
    ],
)
def test_what_it_may_not_say_is_named(text: str | bytes, sentence: str) -> None:
    with pytest.raises(LawowError, match=sentence):
        read(text)


@given(st.binary(max_size=100) | st.text(alphabet='[]="\n.abcdefilmoprsku', max_size=120).map(str.encode))
def test_only_our_errors_come_out(data: bytes) -> None:
    with suppress(LawowError):
        read(data)


def test_the_command_finds_the_file_in_the_app(tmp_path: Path, runtime_dir: Path) -> None:
    app = app_tree(tmp_path / "app", {})
    (app / "native").mkdir()
    (app / "native" / "fft.wasm").write_bytes(wat(FIBONACCI))
    (app / "lawow.toml").write_text(FULL)
    lawow("pack", app, "--runtime-dir", runtime_dir)
    source = (app / "src/main/java/org/other/Fourier.java").read_text()
    assert "public final class Fourier {" in source
    assert (app / "src/main/assets/lawow/fft.wasm").is_file()
    assert (app / "src/main/assets/lawow/edge.properties").read_text().startswith("# Made by lawow pack")
    assert not (app / "src/main/jniLibs/x86_64").exists()


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("native/fft.wasm", "native/fff.wasm", r"lawow.toml: pack.modules: .*native/fff.wasm does not exist"),
        ('"fft.wasm" =', '"fff.wasm" =', r"no module fff.wasm is packed \(did you mean fft.wasm\?\)"),
    ],
)
def test_what_is_not_there_is_named(
    tmp_path: Path, runtime_dir: Path, before: str, after: str, sentence: str
) -> None:
    app = app_tree(tmp_path / "app", {})
    (app / "native").mkdir()
    (app / "native" / "fft.wasm").write_bytes(wat(FIBONACCI))
    (app / "lawow.toml").write_text(FULL.replace(before, after))
    done = lawow("pack", app, "--runtime-dir", runtime_dir, check=False)
    assert done.returncode == 2
    assert re.search(sentence, done.stderr)
