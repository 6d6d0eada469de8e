"""70 real servers with 527 tools: every one is admitted, found and callable."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import CORPUS
from support import gateway

pytestmark = pytest.mark.anyio


async def test_no_tool_of_real_servers_is_lost(corpus: str, tmp_path: Path) -> None:
    servers = json.loads(CORPUS.read_text(encoding="utf-8"))["servers"]
    with gateway(tmp_path, {}) as empty:
        discovered = 0
        for number, server in enumerate(servers):
            answer = empty.register(server["server"], f"{corpus}/{number}/mcp", description=server["description"])
            assert answer.status_code == 200, f"{server['server']}: {answer.text}"
            assert answer.json()["tools_discovered"] == len(server["tools"]), server["server"]
            discovered += answer.json()["tools_discovered"]
        summary = await empty.ask("discover_tools")
        assert (len(summary["domains"]), discovered, summary["total_tools"]) == (70, 527, 527)

        for server in servers:
            listed = (await empty.ask("discover_tools", domain=server["server"]))["tools"]
            assert len({t["name"] for t in listed}) == len(server["tools"]), server["server"]
            first = server["tools"][0]
            alias = f"{server['server']}_{first['name']}"
            shown = await empty.ask("get_tool_schema", tool_name=alias)
            assert shown["domain"] == server["server"], shown
            if not first["inputSchema"].get("required"):
                said = json.loads((await empty.ask("execute_tool", tool_name=alias))["result"])
                assert (said["server"], said["tool"]) == (server["server"], first["name"])

        awkward = "Ant Design Components"
        assert empty.rest("DELETE", f"/{quote(awkward)}").status_code == 200
        left = await empty.ask("discover_tools")
        assert awkward not in {d["name"] for d in left["domains"]} and len(left["domains"]) == 69
