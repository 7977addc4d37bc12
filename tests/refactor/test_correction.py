"""A correction file says exactly what it may say; everything else is an error with the place."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.errors import LawowError
from lawow.formats.toml import CONFIG_BYTES
from lawow.refactor.correction import Corrections, read_corrections
from lawow.refactor.effects import ACCEPTABLE, TOLD


def read(text: str | bytes) -> Corrections:
    data = text.encode() if isinstance(text, str) else text
    return read_corrections(data, name="lawow.toml", findings=ACCEPTABLE)


def test_a_full_file_is_read() -> None:
    found = read(
        """
        [classes]
        offloadable = ["com.example.Fft", "re:.*Blur"]
        resident = ["Legacy*"]
        [modules]
        "com.example.Fft" = "native/fft.wasm"
        [[accept]]
        method = "com.example.Fft.run"
        finding = "framework-call"
        reason = "it only writes to the log"
        [auto]
        shadow = 0.25
        """
    )
    assert found.shadow == 0.25
    assert [rule.text for rule in found.offloadable] == ["com.example.Fft", "re:.*Blur"]
    assert found.modules == (("com.example.Fft", "native/fft.wasm"),)
    assert found.acceptance("com.example.Fft.run(I)I", "framework-call") is not None
    assert found.acceptance("com.example.Fft.run(I)I", "thread") is None
    assert found.acceptance("com.example.Fft.runner(I)I", "framework-call") is None


def test_the_tables_of_other_tools_are_theirs() -> None:
    assert read('[pack]\npackage = "com.example.app"\n') == Corrections()


def test_an_empty_file_corrects_nothing() -> None:
    assert read("") == Corrections()


ACCEPT = '[[accept]]\nmethod = "A.b"\nfinding = "thread"\nreason = "harmless"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[clases]\n", r"unknown key clases \(did you mean classes\?\)"),
        ("[classes]\noffloadible = []\n", r"unknown key classes\.offloadible \(did you mean offloadable\?\)"),
        ("classes = 1\n", "classes must be a table"),
        ("[classes]\nresident = 'A'\n", "must be a list of names"),
        ("[classes]\nresident = [1]\n", "must be a list of names"),
        ("[classes]\nresident = ['re:(']\n", "is not a regular expression"),
        ("[modules]\nA = 1\n", r"modules\.A must be a file name"),
        ("accept = 1\n", "must be an array of tables"),
        ("accept = [1]\n", "must be an array of tables"),
        (ACCEPT.replace("thread", "thred"), r"thred can't be accepted \(did you mean thread\?\)"),
        (ACCEPT.replace("thread", "clock"), "clock can't be accepted"),
        (ACCEPT.replace("harmless", " "), r"accept\.reason must be text"),
        (ACCEPT.replace("reason", "because"), "unknown key accept.because"),
        ("[auto]\nshadows = 1\n", r"unknown key auto\.shadows \(did you mean shadow\?\)"),
        ("[auto]\nshadow = 0\n", r"auto\.shadow \(found 0.*above 0 and at most 1"),
        ("[auto]\nshadow = nan\n", r"auto\.shadow \(found nan"),
        ("[auto]\nshadow = true\n", r"auto\.shadow \(found True"),
        ("[auto]\nshadow = '1'\n", r"auto\.shadow \(found '1'"),
        ("[classes\n", "is not TOML"),
        ("a = " + "9" * 5000, "is not TOML"),
        (b"\xff", "is not TOML"),
        ("a = " + "[" * 20_000, "is (nested too deeply|not TOML)"),
        ("#" * (CONFIG_BYTES + 1), "file size in bytes"),
    ],
)
def test_what_it_may_not_say_is_named(text: str | bytes, sentence: str) -> None:
    with pytest.raises(LawowError, match=sentence) as caught:
        read(text)
    assert "lawow.toml" in str(caught.value)


def test_every_finding_forbids_or_tells() -> None:
    assert not TOLD & set(ACCEPTABLE)


@given(st.binary(max_size=100) | st.text(alphabet='[]="\n.abcdeflmorst,re:', max_size=120).map(str.encode))
def test_only_our_errors_come_out(data: bytes) -> None:
    with suppress(LawowError):
        read(data)
