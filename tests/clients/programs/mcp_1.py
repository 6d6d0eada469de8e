"""The official Python client of the handshake revisions; see README.md for what goes in and out."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


async def run(session: ClientSession, step: dict[str, Any]) -> dict[str, Any]:
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    result = await session.call_tool(step["name"], step["arguments"], progress_callback=hear if step.get("progress") else None)
    return {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True), "progress": heard}


async def main(url: str, work: dict[str, Any]) -> dict[str, Any]:
    async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as session:
        protocol = (await session.initialize()).protocolVersion
        tools = [tool.name for tool in (await session.list_tools()).tools] if work["list"] else None
        return {"protocol": protocol, "tools": tools, "steps": [await run(session, step) for step in work["steps"]]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], json.load(sys.stdin)))))
