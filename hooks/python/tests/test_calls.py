"""What is kept of calls, for how long, and who finds it."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from toolplane_hooks import calls, wire
from toolplane_hooks.calls import Calls, ForeignIdentity, Stale, subject


class User:
    id = 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def message(
    call_id: str, handle: str = "", instance: str = "i", stranger: str | None = None, **fields: Any
) -> wire.Call:
    identity = wire.Identity(handle=handle, subject="s") if handle else None
    if stranger is not None:
        identity = wire.Identity(subject=stranger)
    return wire.Call(id=call_id, instance=instance, identity=identity, **fields)


def test_user_lives_until_the_call_ends() -> None:
    table = Calls("i")
    call = table.open(message("a"))
    user = User()
    gone = weakref.ref(user)
    handle = table.identify(call, user)
    assert table.open(message("a", handle)).user is user
    del call, user
    table.end("a")
    gc.collect()
    assert gone() is None
    assert len(table) == 0
    with pytest.raises(Stale):
        table.open(message("b", handle))


def test_nested_calls_find_the_user_of_the_outer_one() -> None:
    table = Calls("i")
    handle = table.identify(table.open(message("outer")), "alice")
    nested = table.open(message("nested", handle, session="s1"))
    assert nested.user == "alice"
    table.end("nested")
    assert table.open(message("outer", handle)).user == "alice"
    late = table.open(message("late", handle))
    table.end("outer")
    assert table.open(message("late", handle)) is late
    with pytest.raises(Stale):
        table.open(message("later", handle))


def test_other_starts_are_stale() -> None:
    table = Calls("i")
    for instance in ("", "j"):
        with pytest.raises(Stale):
            table.open(message("a", instance=instance))
    with pytest.raises(Stale):
        table.open(message(""))
    other = Calls("j")
    handle = other.identify(other.open(message("a", instance="j")), "alice")
    with pytest.raises(Stale):
        table.open(message("b", handle))
    assert len(table) == 0


def test_identities_of_other_services_are_known_by_subject() -> None:
    table = Calls("i")
    user = table.open(message("a", stranger="bob")).user
    assert isinstance(user, ForeignIdentity)
    assert subject(user) == "bob"
    with pytest.raises(Stale):
        table.open(message("b", "their handle"))


def test_identity_follows_the_request() -> None:
    table = Calls("i")
    call = table.open(message("a"))
    handle = table.identify(call, "alice")
    call.context = SimpleNamespace(user="alice")
    assert isinstance(table.open(message("a", stranger="")).context.user, ForeignIdentity)
    assert table.open(message("a")).context.user is None
    assert table.open(message("a", handle)).context.user == "alice"


def test_identifying_again_forgets_the_first() -> None:
    table = Calls("i")
    call = table.open(message("a"))
    first = table.identify(call, "alice")
    second = table.identify(call, "bob")
    assert table.open(message("b", second)).user == "bob"
    with pytest.raises(Stale):
        table.open(message("c", first))


def test_number_of_calls_is_bounded() -> None:
    table = Calls("i", most=3)
    handles = [table.identify(table.open(message(name)), name) for name in "abc"]
    table.open(message("a", handles[0]))
    table.open(message("d"))
    assert len(table) == 3
    assert table.open(message("e", handles[0])).user == "a"
    with pytest.raises(Stale):
        table.open(message("f", handles[1]))


def test_silent_calls_are_dropped() -> None:
    clock = Clock()
    table = Calls("i", longest_silence=10, clock=clock)
    outer = table.identify(table.open(message("outer")), "alice")
    table.open(message("quiet"))
    clock.now = 9
    table.open(message("nested", outer))
    clock.now = 15
    table.drop_silent()
    assert len(table) == 2
    clock.now = 60
    table.drop_silent()
    assert len(table) == 0


def test_last_of_several_header_values_counts() -> None:
    headers = [wire.Header(name="x", value="1"), wire.Header(name="x", value="2")]
    assert Calls("i").open(message("a", headers=headers)).headers == {"x": "2"}


class Broken:
    @property
    def email(self) -> str:
        raise RuntimeError

    name = "x"

    def __repr__(self) -> str:
        raise RuntimeError


class Color(str, Enum):
    RED = "red"


@dataclass
class Account:
    token: str
    user_id: int | None = None


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (SimpleNamespace(subject="a", sub="b"), "a"),
        (SimpleNamespace(subject=None, email="e@x"), "e@x"),
        (SimpleNamespace(subject="", email="e@x"), "e@x"),
        ({"sub": "b"}, "b"),
        (SimpleNamespace(id=7), "7"),
        ({"user_id": 7, "token": "t0p"}, "7"),
        ({"preferred_username": "ann"}, "ann"),
        (Account("t0p", 8), "8"),
        ({"id": "x" * 500}, "x" * 256),
        ({"id": "\ud800"}, "?"),
        (SimpleNamespace(id=Color.RED), "red"),
        (Broken(), "x"),
    ],
)
def test_subject_is_the_first_usual_name(user: Any, expected: str) -> None:
    assert subject(user) == expected


@pytest.mark.parametrize(
    "user",
    [
        {"token": "t0p"},
        Account("t0p"),
        "t0p",
        b"t0p",
        object(),
        SimpleNamespace(subject={"token": "t0p"}, id=True, name=SimpleNamespace),
        "t0p".encode,
    ],
)
def test_nothing_else_of_a_user_is_told(user: Any) -> None:
    """Neither secrets nor addresses in memory, which would make the same caller another one in the next request."""
    assert subject(user) == ""


def test_request_meta_is_read_only() -> None:
    meta = calls.request_meta(message("a", request_meta='{"k":1}'))
    assert meta == {"k": 1}
    with pytest.raises(TypeError):
        meta["evil"] = 1  # type: ignore[index]
    assert calls.request_meta(message("a")) is None
