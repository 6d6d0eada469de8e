"""The servers of the tool corpus behind one port, each at a path of its own: `corpus.py PORT FILE`.

Speaks stateless streamable HTTP with JSON answers. The number of a server in the file is its path: /0/mcp, /1/mcp, …
"""

from __future__ import annotations

import json
import sys
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def answer(server: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    method, params = message["method"], message.get("params") or {}
    if method == "initialize":
        return {"result": {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                           "serverInfo": {"name": server["server"], "version": "1"}}}
    if method == "tools/list":
        return {"result": {"tools": server["tools"]}}
    if method == "tools/call":
        said = {"server": server["server"], "tool": params["name"], "arguments": params.get("arguments", {})}
        return {"result": {"content": [{"type": "text", "text": json.dumps(said)}]}}
    return {"error": {"code": -32601, "message": f"no method {method}"}}


def app(servers: list[dict[str, Any]]) -> Starlette:
    async def mcp(request: Request) -> Response:
        message = await request.json()
        if "id" not in message:
            return Response(status_code=202)
        server = servers[request.path_params["number"]]
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], **answer(server, message)})

    return Starlette(routes=[Route("/{number:int}/mcp", mcp, methods=["POST"])])


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as corpus:
        uvicorn.run(app(json.load(corpus)["servers"]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
