"""A controller registers servers over REST, and what it was told stays true."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import HOST, Gateway, free_port, gateway, stop, tools_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def alone(everything: str, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway in front of one server, for a test that registers more."""
    with gateway(tmp_path, {"everything": everything}) as served:
        yield served


async def test_a_registered_server_serves_at_once_until_it_is_removed(alone: Gateway, tools: str) -> None:
    answer = alone.register("tools", tools, description="Sums and weather")
    assert answer.status_code == 200, answer.text
    names = sorted(await tools_of(tools))
    said = answer.json()
    assert (said["registered"], said["url"], said["tools_discovered"], sorted(said["tools_added"])) == ("tools", tools, len(names), names)
    listed = {s["domain"]: s for s in alone.rest("GET").json()["servers"]}
    assert listed["tools"] == {"domain": "tools", "url": tools, "tool_count": len(names), "description": "Sums and weather"}
    assert (await alone.ask("execute_tool", tool_name="add", arguments={"a": 1, "b": 2}))["result"] == "3"

    removed = alone.rest("DELETE", "/tools")
    assert removed.status_code == 200, removed.text
    assert (removed.json()["deregistered"], sorted(removed.json()["tools_removed"])) == ("tools", names)
    assert (await alone.ask("execute_tool", tool_name="add", arguments={"a": 1}))["code"] == "tool_not_found"
    assert alone.rest("DELETE", "/tools").status_code == 404


async def test_a_wrong_token_learns_and_changes_nothing(alone: Gateway, tools: str) -> None:
    for answer in (alone.rest("GET", token="guess"), alone.rest("POST", token="guess", json={"domain": "tools", "url": tools}),
                   alone.rest("DELETE", "/everything", token="guess")):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert [s["domain"] for s in alone.rest("GET").json()["servers"]] == ["everything"]


async def test_a_server_that_does_not_answer_is_not_registered(alone: Gateway) -> None:
    answer = alone.register("late", f"http://user:secret@{HOST}:{free_port()}/mcp?key=secret")
    assert answer.status_code in (400, 503) and "secret" not in answer.text, answer.text
    answer = alone.register("late", f"http://{HOST}:{free_port()}/mcp")
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_not_ready")
    assert "retry-after" in answer.headers
    assert alone.rest("GET").json()["total"] == 1


async def test_a_registration_survives_a_killed_gateway(everything: str, tools: str, tmp_path: Path) -> None:
    with gateway(tmp_path, {"everything": everything}) as first:
        assert first.register("tools", tools).status_code == 200
        stop(first.process, signal.SIGKILL)
    with gateway(tmp_path, {"everything": everything}) as second:
        assert [s["domain"] for s in second.rest("GET").json()["servers"]] == ["everything", "tools"]
        assert (await second.ask("execute_tool", tool_name="add", arguments={"a": 20, "b": 3}))["result"] == "23"
