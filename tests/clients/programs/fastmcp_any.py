"""The client of FastMCP, of its older and its newest major version; see README.md for what goes in and out."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import fastmcp

SPEAKS_BOTH = int(fastmcp.__version__.split(".")[0]) >= 4


async def run(client: fastmcp.Client[Any], step: dict[str, Any]) -> dict[str, Any]:
    heard: list[float] = []
    first = asyncio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)
        first.set()

    call = asyncio.ensure_future(client.call_tool_mcp(step["name"], step["arguments"], progress_handler=hear if step.get("progress") else None))
    if step.get("cancel"):
        await first.wait()
        call.cancel()
        await asyncio.wait([call])
        return {"cancelled": call.cancelled()}
    result = (await call).model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"result": result, "progress": heard}


async def main(url: str, era: str, work: dict[str, Any]) -> dict[str, Any]:
    mode = {"mode": "legacy" if era == "handshake" else "auto"} if SPEAKS_BOTH else {}
    async with fastmcp.Client(url, **mode) as client:
        protocol = client.protocol_version if SPEAKS_BOTH else client.initialize_result.protocolVersion
        tools = [tool.name for tool in await client.list_tools()] if work["list"] else None
        return {"protocol": protocol, "tools": tools, "steps": [await run(client, step) for step in work["steps"]]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], json.load(sys.stdin)))))
