"""Strings and lists of the stub: packed and unpacked as the vectors say that both sides share."""

from __future__ import annotations

import json
import math
from typing import Any

from tests.android.builders import Jvm
from tests.conftest import ROOT

VECTORS: dict[str, Any] = json.loads((ROOT / "fixtures" / "values" / "vectors.json").read_text())


def word(value: object) -> str:
    """Write a JSON value as `Vectors` takes it."""
    if isinstance(value, dict):
        return f"={value['same_as']}"
    if isinstance(value, list):
        return f"[{','.join(map(word, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def words(signature: str, arguments: list[object]) -> list[str]:
    """Write arguments; those that are strings are hex, unlike large numbers, which are JSON strings too."""
    kinds = signature.partition(">")[0].replace("&", "").replace("[", "")
    return [
        str(value).encode().hex() if kind == "S" else word(value)
        for kind, value in zip(kinds, arguments, strict=True)
    ]


def same(found: str, wanted: object) -> bool:
    """Compare what Java printed with a JSON value."""
    if isinstance(wanted, list):
        items = found[1:-1].split(",") if found != "[]" else []
        return len(items) == len(wanted) and all(map(same, items, wanted))
    if wanted is None or isinstance(wanted, bool):
        return found == {None: "null", True: "true", False: "false"}[wanted]
    try:
        one, other = float(found), float(str(wanted))
    except ValueError:
        return bytes.fromhex(found).decode() == wanted
    return found == str(wanted) or one == other or (math.isnan(one) and math.isnan(other))


def lines(jvm: Jvm, text: list[str]) -> list[str]:
    answers = jvm.run("dev.lawow.Vectors", stdin="".join(f"{line}\n" for line in text)).splitlines()
    assert len(answers) == len(text)
    return answers


def test_calls_are_packed_and_answers_delivered_as_the_vectors_say(jvm: Jvm) -> None:
    calls = VECTORS["calls"]
    text = [
        "\t".join([call["signature"], call["response"], *words(call["signature"], call["arguments"])])
        for call in calls
    ]
    for call, answer in zip(calls, lines(jvm, text), strict=True):
        request, result, *after = answer.split("\t")
        assert request == call["request"], call["name"]
        results = call["results"]
        wanted = None if not results else results[0] if len(results) == 1 else results
        is_text = call["signature"].endswith(">S")
        assert bytes.fromhex(result).decode() == wanted if is_text else same(result, wanted), call["name"]
        for index, value in enumerate(call["arguments"]):
            source = value["same_as"] if isinstance(value, dict) else index
            if str(source) in call["changed"]:
                assert same(after[index], call["changed"][str(source)]), call["name"]
            elif not isinstance(call["arguments"][source], str):
                assert same(after[index], call["arguments"][source]), call["name"]


def test_answers_that_are_none_are_refused(jvm: Jvm) -> None:
    cases = VECTORS["refused_responses"]
    text = [
        "\t".join([case["signature"], case["response"], *words(case["signature"], case["arguments"])])
        for case in cases
    ]
    for case, answer in zip(cases, lines(jvm, text), strict=True):
        assert answer.startswith("refused answers with "), case["name"]


def test_what_is_no_signature_is_refused(jvm: Jvm) -> None:
    for answer in lines(jvm, [f"{signature}\t" for signature in VECTORS["refused_signatures"]]):
        assert answer.startswith("refused not a signature: ")


def test_every_cut_of_an_answer_is_refused(jvm: Jvm) -> None:
    call = next(call for call in VECTORS["calls"] if call["name"] == "booleans")
    response = call["response"]
    text = [f"{call['signature']}\t{response[:at]}\t[true,false,true]" for at in range(0, len(response), 2)]
    assert all(answer.startswith("refused answers with") for answer in lines(jvm, text))
