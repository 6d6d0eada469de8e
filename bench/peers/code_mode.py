"""Starts the other gateway with code mode on, which its environment variables alone cannot do."""

import asyncio
import json
import os

from fastmcp_gateway import GatewayServer


async def everybody(user, context):
    return True


server = GatewayServer(
    json.loads(os.environ["GATEWAY_UPSTREAMS"]),
    code_mode=True,
    code_mode_authorizer=everybody,
)
# It is ready with an empty registry otherwise, and `run` has an event loop of its own.
tools = asyncio.run(server.populate())
if not all(tools.values()):
    raise SystemExit(f"an upstream lists no tools: {tools}")
server.run(transport="streamable-http", host=os.environ["GATEWAY_HOST"], port=int(os.environ["GATEWAY_PORT"]))
