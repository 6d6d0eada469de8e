"""Clients and servers of the handshake revisions and of the stateless one work together in any pairing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support import HERE, Gateway, gateway, session

pytestmark = pytest.mark.anyio
CALLS = [("add", {"a": 1, "b": 2}, "3"), ("forecast", {"city": "Oslo"}, '{"city":"Oslo","degrees":21.5,"sky":"clear"}')]


def current_client(url: str) -> dict[str, Any]:
    """What the client of the newest revision gets for CALLS."""
    calls = [{"name": "execute_tool", "arguments": {"tool_name": name, "arguments": arguments}} for name, arguments, _ in CALLS]
    done = subprocess.run([os.environ["TOOLPLANE_TEST_PYTHON_CURRENT"], str(HERE / "current_client.py"), url], input=json.dumps(calls),
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def check_current_client(served: Gateway) -> None:
    got = current_client(served.mcp)
    assert got["protocol"] == "2026-07-28"
    assert {"discover_tools", "execute_tool"} <= set(got["tools"])
    assert [json.loads(r["content"][0]["text"])["result"] for r in got["results"]] == [text for _, _, text in CALLS]
    assert [r.get("structuredContent") for r in got["results"]] == [{"result": 3}, {"city": "Oslo", "degrees": 21.5, "sky": "clear"}]


async def test_a_stateless_client_reaches_a_handshake_server(tools: str, tmp_path: Path) -> None:
    with gateway(tmp_path, {"tools": tools}) as served:
        check_current_client(served)


async def test_a_stateless_client_reaches_a_stateless_server(current_tools: str, tmp_path: Path) -> None:
    with gateway(tmp_path, {"tools": current_tools}) as served:
        check_current_client(served)


async def test_a_handshake_client_reaches_a_stateless_server(current_tools: str, tmp_path: Path) -> None:
    with gateway(tmp_path, {"tools": current_tools}) as served:
        async with session(served.mcp) as (s, init):
            assert init.protocolVersion < "2026"
            for name, arguments, text in CALLS:
                result = await s.call_tool("execute_tool", {"tool_name": name, "arguments": arguments})
                assert json.loads(result.content[0].text)["result"] == text
