"""The official Python client that speaks both eras; see README.md for what goes in and out."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp import Client


async def run(client: Client, step: dict[str, Any]) -> dict[str, Any]:
    heard: list[float] = []
    first = asyncio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)
        first.set()

    call = asyncio.ensure_future(client.call_tool(step["name"], step["arguments"], progress_callback=hear if step.get("progress") else None))
    if step.get("cancel"):
        await first.wait()
        call.cancel()
        await asyncio.wait([call])
        return {"cancelled": call.cancelled()}
    result = (await call).model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"result": result, "progress": heard}


async def main(url: str, era: str, work: dict[str, Any]) -> dict[str, Any]:
    async with Client(url, mode="legacy" if era == "handshake" else "auto") as client:
        tools = [tool.name for tool in (await client.list_tools()).tools] if work["list"] else None
        steps = [await run(client, step) for step in work["steps"]]
        return {"protocol": client.protocol_version, "tools": tools, "steps": steps}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], json.load(sys.stdin)))))
