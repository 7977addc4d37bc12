"""The stub's reader of JSON, held to Python's."""

from __future__ import annotations

import json
import random

from tests.android.builders import Jvm

GOOD = [
    '{"lease": "00", "expires_unix": 1764300000.25, "list": [1, -2.5e3, true, false, null, [], {}], "": {}}',
    '{"a": {"a": "b"}}',
    '{"text": "\\u00e9\\ud83d\\ude00 \\" \\\\ \\/ \\b\\f\\n\\r\\t é"}',
    '{ "a" : [ { "b" : [ ] } ] }',
]
BAD = [
    "", "{", "[]", "1", '"a"', "{}x", '{"a"}', '{"a":}', '{"a":1,}', '{"a":[1,]}', "{'a':1}", '{"a":01}',
    '{"a":+1}', '{"a":1.}', '{"a":.5}', '{"a":1e}', '{"a":NaN}', '{"a":tru}', '{"a":"\\x"}', '{"a":"\\u12"}',
    '{"a":"b}', '{"a":"b\tc"}', '{"a":' * 40 + "1" + "}" * 40, '{"a":' + "[" * 100_000,
    '{"a":' + "1" * 200 + "}", '{"a" 1}',
]  # fmt: skip


def read(jvm: Jvm, *documents: str) -> list[str]:
    return jvm.run("dev.lawow.Documents", stdin="".join(f"{item}\n" for item in documents)).splitlines()


def test_documents_mean_what_they_mean_to_python(jvm: Jvm) -> None:
    assert [json.loads(item) for item in read(jvm, *GOOD)] == [json.loads(item) for item in GOOD]


def test_what_is_no_document_is_refused(jvm: Jvm) -> None:
    assert read(jvm, *BAD) == ["refused"] * len(BAD)


def test_damaged_documents_are_read_as_python_reads_them_or_refused(jvm: Jvm) -> None:
    chance, damaged = random.Random(6), []
    for _ in range(500):
        letters = list(chance.choice(GOOD))
        for _ in range(chance.randrange(1, 4)):
            letters[chance.randrange(len(letters))] = chance.choice('{}[]",:\\ 019.eEtfnu-+')
        damaged.append("".join(letters))
    for text, answer in zip(damaged, read(jvm, *damaged), strict=True):
        try:
            expected = json.loads(text, parse_constant=lambda _: 1 / 0)
        except (ValueError, ZeroDivisionError):
            assert answer == "refused", text
            continue
        assert answer == "refused" or json.loads(answer) == expected, text
