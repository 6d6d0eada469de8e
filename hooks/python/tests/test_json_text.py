"""JSON keeps its text."""

from __future__ import annotations

import pytest

from toolplane_hooks import json_text
from toolplane_hooks.json_text import Invalid, decode, encode


@pytest.mark.parametrize(
    "text",
    [
        "1e400",
        "-1E-400",
        "1.10",
        "-0.0",
        "0.1000000000000000055511151231257827",
        "123456789012345678901234567890",
        "9" * 6000,
        '{"a":[1.0,{"b":null}],"c":true,"d":false}',
        '"\\"\\\\\\n"',
        '"\U0001f600é"',
        '"\\ud800"',
        "[]",
        "{}",
    ],
)
def test_text_survives(text: str) -> None:
    assert encode(decode(text)) == text


def test_exact_numbers_are_numbers() -> None:
    value = decode("1.10")
    assert isinstance(value, float)
    assert value + 1 == 2.1


@pytest.mark.parametrize("text", ["", "nul", "{", '{"a" 1}', "[1,]", "1 2", "NaN", "Infinity", "[" * 100_000])
def test_broken_text_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        decode(text)


@pytest.mark.parametrize("text", ["[]", "7", '{"a":1', '{"a":1 "b":2}', "{,}", '{"a"}', "", '{"a":1,}', '{"a\\x":1}'])
def test_broken_members_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        json_text.members(text)


@pytest.mark.parametrize("text", ["{}", "[1", "[1 2]", "[,]", ""])
def test_broken_elements_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        json_text.elements(text)


def test_members_keep_their_text() -> None:
    text = ' { "a" : 1e400 , "b":[ 1,  2 ],"\\u0063":{ } } '
    assert json_text.members(text) == {"a": "1e400", "b": "[ 1,  2 ]", "c": "{ }"}
    assert json_text.members("{ }") == {}


def test_elements_keep_their_text() -> None:
    assert json_text.elements('[ 1.0 ,{"a": 2} ]') == [(1.0, "1.0"), ({"a": 2}, '{"a": 2}')]
    assert json_text.elements("[ ]") == []


def test_what_is_no_json_is_refused() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    for value in ({1}, {"a": b"x"}, float("inf"), float("nan"), {7: 1}, cycle, 10**6000):
        with pytest.raises(Invalid):
            encode(value)


def test_fingerprints_tell_types_apart() -> None:
    assert json_text.fingerprint({"a": True}) != json_text.fingerprint({"a": 1})
    assert json_text.fingerprint(1) != json_text.fingerprint(1.0)
    assert json_text.fingerprint({1}) is None
