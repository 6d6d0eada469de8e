"""The official client of the newest protocol revision: `current_client.py URL`, calls as JSON on stdin, what came back on stdout.

A program of its own because that client cannot share an environment with the older one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp import Client


async def talk(url: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    async with Client(url) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        results = [await client.call_tool(call["name"], call["arguments"]) for call in calls]
        return {"protocol": client.protocol_version, "tools": tools,
                "results": [r.model_dump(mode="json", by_alias=True, exclude_none=True) for r in results]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(talk(sys.argv[1], json.load(sys.stdin)))))
