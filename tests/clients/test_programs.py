"""Clients that other people wrote, in every era that they speak, work through the gateway with servers of either era."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest

from support import HERE, Gateway

PROGRAMS = HERE / "programs"
META_TOOLS = ["discover_tools", "get_tool_schema", "execute_tool", "refresh_registry"]


@dataclass(frozen=True)
class Program:
    """A client, and the era in which it is told to speak."""

    name: str
    era: str

    def argv(self, url: str) -> list[str]:
        current, modules = os.environ["TOOLPLANE_TEST_PYTHON_CURRENT"], os.environ["TOOLPLANE_TEST_NODE_MODULES"]
        return {
            "mcp-1": [sys.executable, str(PROGRAMS / "mcp_1.py"), url],
            "mcp-2": [current, str(PROGRAMS / "mcp_2.py"), url, self.era],
            "fastmcp-3": [sys.executable, str(PROGRAMS / "fastmcp_any.py"), url, self.era],
            "fastmcp-4": [current, str(PROGRAMS / "fastmcp_any.py"), url, self.era],
            "typescript-1": [f"{modules}/node/bin/node", str(PROGRAMS / "sdk.mjs"), "1", url, self.era],
            "typescript-2": [f"{modules}/node/bin/node", str(PROGRAMS / "sdk.mjs"), "2", url, self.era],
        }[self.name]

    def work(self, url: str, steps: list[dict[str, Any]], lists: bool = True) -> dict[str, Any]:
        """Runs the steps in one connection; says what came back."""
        env = {"PATH": os.environ["PATH"], "NODE_MODULES": os.environ["TOOLPLANE_TEST_NODE_MODULES"], "FASTMCP_CHECK_FOR_UPDATES": "off"}
        done = subprocess.run(self.argv(url), input=json.dumps({"list": lists, "steps": steps}), capture_output=True, text=True, timeout=120, env=env)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    def __str__(self) -> str:
        return f"{self.name}-{self.era}"


HANDSHAKE = [Program(name, "handshake") for name in ("mcp-1", "mcp-2", "fastmcp-3", "fastmcp-4", "typescript-1", "typescript-2")]
STATELESS = [Program(name, "stateless") for name in ("mcp-2", "fastmcp-4", "typescript-2")]


@pytest.fixture(params=["handshake", "stateless"])
def served(request: pytest.FixtureRequest) -> Gateway:
    """A gateway in front of a server of either era."""
    return request.getfixturevalue("both" if request.param == "handshake" else "stateless")


def execute(tool: str, more: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    return {"name": "execute_tool", "arguments": {"tool_name": tool, "arguments": arguments}, **(more or {})}


def said(step: dict[str, Any]) -> Any:
    """The JSON in the first block of a step's result."""
    return json.loads(step["result"]["content"][0]["text"])


@pytest.mark.parametrize("program", HANDSHAKE + STATELESS, ids=str)
def test_a_client_finds_reads_and_runs_tools(program: Program, served: Gateway) -> None:
    got = program.work(served.mcp, [
        {"name": "discover_tools", "arguments": {"domain": "tools"}},
        {"name": "get_tool_schema", "arguments": {"tool_name": "forecast"}},
        execute("add", a=1, b=2),
        execute("forecast", city="Oslo"),
        execute("picture"),
        execute("refuse", reason="not today"),
        execute("count", {"progress": True}, to=3),
    ])
    found, schema, added, weather, picture, refused, counted = got["steps"]
    assert (got["protocol"] == "2026-07-28") == (program.era == "stateless"), got["protocol"]
    assert got["tools"] == META_TOOLS
    assert {"add", "forecast", "picture"} <= {tool["name"] for tool in said(found)["tools"]}
    assert said(schema)["parameters"]["properties"]["city"]["type"] == "string" and said(schema)["output"]["type"] == "object"
    assert said(added) == {"tool": "add", "result": "3"} and added["result"]["structuredContent"] == {"result": 3}
    assert weather["result"]["structuredContent"] == {"city": "Oslo", "degrees": 21.5, "sky": "clear"}
    assert said(picture)["result"] == "a pixel"
    image = picture["result"]["content"][1]
    assert (image["type"], image["mimeType"]) == ("image", "image/png") and base64.b64decode(image["data"]).startswith(b"\x89PNG")
    assert refused["result"]["isError"] and said(refused)["error"] == "not today"
    assert said(counted)["result"] == "3" and counted["progress"] == [1, 2, 3]


@pytest.mark.anyio
@pytest.mark.parametrize("program", STATELESS, ids=str)
async def test_a_call_that_a_client_gives_up_ends_at_the_server(program: Program, served: Gateway) -> None:
    got = program.work(served.mcp, [execute("wait", {"progress": True, "cancel": True})])
    assert got["steps"] == [{"cancelled": True}]
    deadline = time.monotonic() + 30
    while (await served.ask("execute_tool", tool_name="how_many_wait"))["result"] != "0":
        assert time.monotonic() < deadline, "the server still waits"
        await asyncio.sleep(0.1)


# FastMCP's client is not among them: it takes the refusal for an answer, and has to list the tools first.
@pytest.mark.parametrize("program", [p for p in STATELESS if p.name != "fastmcp-4"], ids=str)
def test_a_client_that_lists_nothing_is_told_to_and_reaches_a_tool(program: Program, stateless: Gateway) -> None:
    """What the list of tools asks to be repeated in a header has to be there."""
    got = program.work(stateless.mcp, [execute("add", a=1, b=2)], lists=False)
    assert said(got["steps"][0])["result"] == "3"
