"""An upstream made with FastMCP, which nobody here wrote: `tools.py PORT`. Runs on its older and its newest major version."""

from __future__ import annotations

import asyncio
import sys
from typing import Literal

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.utilities.types import Image
from pydantic import BaseModel

server: FastMCP = FastMCP("tools")
PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000a49444154789c6300010000050001"
                      "0d0a2db40000000049454e44ae426082")
waiting = 0


class Forecast(BaseModel):
    city: str
    degrees: float
    sky: Literal["clear", "cloudy"]


@server.tool
def add(a: int, b: int = 1) -> int:
    """Adds two whole numbers."""
    return a + b


@server.tool
def forecast(city: str) -> Forecast:
    """Tells tomorrow's weather."""
    return Forecast(city=city, degrees=21.5, sky="clear")


@server.tool(output_schema=None)
def picture() -> list:
    """Draws a picture and says so."""
    return ["a pixel", Image(data=PIXEL, format="png")]


@server.tool
def refuse(reason: str) -> str:
    """Always fails."""
    raise ToolError(reason)


@server.tool
async def count(to: int, ctx: Context) -> int:
    """Counts, and says how far it is."""
    for reached in range(1, to + 1):
        await ctx.report_progress(reached, to)
    return to


@server.tool
async def wait(ctx: Context) -> str:
    """Waits until it is cancelled."""
    global waiting
    waiting += 1
    try:
        await ctx.report_progress(1)
        await asyncio.Event().wait()
    finally:
        waiting -= 1
    return "never"


@server.tool
def how_many_wait() -> int:
    """Tells how many calls wait."""
    return waiting


@server.tool
def grow() -> str:
    """Makes one more tool available."""

    @server.tool
    def grown() -> str:
        """Was not there at first."""
        return "grown"

    return "one more"


if __name__ == "__main__":
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
