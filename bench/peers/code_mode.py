"""Starts the other gateway with code mode on, which its environment variables alone cannot do."""

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
server.run(transport="streamable-http", host=os.environ["GATEWAY_HOST"], port=int(os.environ["GATEWAY_PORT"]))
