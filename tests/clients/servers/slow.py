"""An upstream whose calls take as long as they are told: `slow.py PORT`. `/running` says how many are under way."""

from __future__ import annotations

import asyncio
import sys

from fastmcp import FastMCP
from starlette.requests import Request
from starlette.responses import PlainTextResponse

server: FastMCP = FastMCP("slow")
running = 0


@server.tool
async def echo(number: int, seconds: float = 0) -> int:
    """Waits, then gives the number back."""
    global running
    running += 1
    try:
        await asyncio.sleep(seconds)
    finally:
        running -= 1
    return number


@server.custom_route("/running", methods=["GET"])
async def count(_: Request) -> PlainTextResponse:
    return PlainTextResponse(str(running))


if __name__ == "__main__":
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
