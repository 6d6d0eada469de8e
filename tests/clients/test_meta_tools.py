"""The official client works with the gateway's meta-tools, in front of servers from npm and PyPI."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp.types import CallToolResult

from support import Gateway, body, gateway, session, tools_of

pytestmark = pytest.mark.anyio

# Tools whose answer does not change from call to call.
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("everything", "echo", {"message": "naïve 東京 🚀"}),
    ("everything", "get-sum", {"a": 2, "b": 40}),
    ("everything", "get-structured-content", {"location": "Chicago"}),
    ("everything", "get-tiny-image", {}),
    ("everything", "get-annotated-message", {"messageType": "error", "includeImage": True}),
    ("everything", "get-resource-links", {"count": 3}),
    ("tools", "add", {"a": 1, "b": 2}),
    ("tools", "forecast", {"city": "Oslo"}),
    ("tools", "picture", {}),
]


def texts(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


def others(result: CallToolResult) -> list[Any]:
    return [block for block in result.content if block.type != "text"]


async def test_the_handshake_names_the_domains(both: Gateway) -> None:
    async with session(both.mcp) as (_, init):
        assert init.serverInfo.name == "toolplane"
        assert init.capabilities.tools is not None
        assert "**everything** (" in init.instructions and "**tools** (8 tools)" in init.instructions


async def test_four_meta_tools_are_listed(both: Gateway) -> None:
    async with session(both.mcp) as (s, _):
        listed = (await s.list_tools()).tools
        assert {t.name for t in listed} == {"discover_tools", "get_tool_schema", "execute_tool", "refresh_registry"}
        read_only = {t.name for t in listed if t.annotations and t.annotations.readOnlyHint}
        assert read_only == {"discover_tools", "get_tool_schema"}


async def test_discovery_finds_what_the_servers_list(both: Gateway, everything: str, tools: str) -> None:
    direct = {"everything": await tools_of(everything), "tools": await tools_of(tools)}
    summary = await both.ask("discover_tools")
    assert {d["name"]: d["tool_count"] for d in summary["domains"]} == {name: len(found) for name, found in direct.items()}
    assert summary["total_tools"] == sum(len(found) for found in direct.values())
    for domain, found in direct.items():
        listed = (await both.ask("discover_tools", domain=domain))["tools"]
        assert [t["name"] for t in listed] == sorted(found)


async def test_a_query_finds_a_tool_and_its_signature(both: Gateway) -> None:
    found = await both.ask("discover_tools", query="forecast")
    assert found["results"][0]["name"] == "forecast" and found["results"][0]["domain"] == "tools"
    async with session(both.mcp) as (s, _):
        said = await s.call_tool("discover_tools", {"domain": "tools", "format": "signatures"})
        assert "add(a: int, b: int = None) -> " in said.content[0].text


async def test_a_schema_is_what_the_server_declared(both: Gateway, everything: str, tools: str) -> None:
    for domain, url in {"everything": everything, "tools": tools}.items():
        for name, tool in (await tools_of(url)).items():
            shown = await both.ask("get_tool_schema", tool_name=name)
            assert (shown["name"], shown["domain"], shown["parameters"]) == (name, domain, tool.inputSchema)
            assert shown.get("output") == tool.outputSchema


async def test_results_arrive_as_the_server_sent_them(both: Gateway, everything: str, tools: str) -> None:
    urls = {"everything": everything, "tools": tools}
    async with session(both.mcp) as (through, _):
        for domain, name, arguments in CALLS:
            async with session(urls[domain]) as (direct, _):
                want = await direct.call_tool(name, arguments)
            got = await through.call_tool("execute_tool", {"tool_name": name, "arguments": arguments})
            assert body(got) == {"tool": name, "result": texts(want)}
            assert got.content[1:] == others(want), name
            assert got.structuredContent == want.structuredContent, name
            assert not got.isError
            assert (want.meta or {}).items() <= (got.meta or {}).items(), name


async def test_an_error_of_the_server_is_an_error_of_the_call(both: Gateway) -> None:
    async with session(both.mcp) as (s, _):
        refused = await s.call_tool("execute_tool", {"tool_name": "refuse", "arguments": {"reason": "not today"}})
        assert refused.isError
        assert body(refused) == {"error": "not today", "code": "upstream_error", "details": {"tool": "refuse"}}


async def test_bad_arguments_are_refused_with_the_signature(both: Gateway) -> None:
    async with session(both.mcp) as (s, _):
        refused = await s.call_tool("execute_tool", {"tool_name": "add", "arguments": {"b": 2}})
        said = body(refused)
        assert refused.isError and said["code"] == "invalid_arguments"
        assert said["details"]["signature"].startswith("add(a: int")


async def test_an_unknown_tool_gets_suggestions(both: Gateway) -> None:
    async with session(both.mcp) as (s, _):
        missing = await s.call_tool("execute_tool", {"tool_name": "forcast", "arguments": {}})
        said = body(missing)
        assert missing.isError and said["code"] == "tool_not_found"
        assert "forecast" in said["details"]["suggestions"]


async def test_calls_at_the_same_time_get_their_own_answers(both: Gateway) -> None:
    async def add(n: int) -> str:
        said = await both.ask("execute_tool", tool_name="add", arguments={"a": n, "b": 1000})
        return said["result"]

    answers = await asyncio.gather(*(add(n) for n in range(25)))
    assert answers == [str(n + 1000) for n in range(25)]


async def test_a_refresh_finds_a_tool_that_appeared(everything: str, growing_tools: str, tmp_path: Path) -> None:
    with gateway(tmp_path, {"everything": everything, "tools": growing_tools}) as served:
        await served.ask("execute_tool", tool_name="grow")
        refreshed = {r["domain"]: r for r in (await served.ask("refresh_registry"))["refreshed"]}
        assert refreshed["tools"] == {"domain": "tools", "added": ["grown"], "removed": [], "tool_count": 9}
        assert refreshed["everything"]["added"] == []
        assert (await served.ask("execute_tool", tool_name="grown"))["result"] == "grown"
