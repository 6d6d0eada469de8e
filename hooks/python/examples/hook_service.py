"""A hook service of its own, without hook modules: `toolplane.hooks.v1.HookService` answered directly.

    python hook_service.py 127.0.0.1:50071

It keeps an office's opening hours: outside of them nobody executes anything, and only tools that read are listed.
Written with the messages of `toolplane_hooks.wire`; classes that `protoc` makes from `hooks.proto` work as well.
"""

from __future__ import annotations

import asyncio
import datetime
import sys
import uuid
from collections.abc import Callable
from typing import Any

import grpc.aio

from toolplane_hooks import wire


class OpeningHours:
    """One method for each phase that is announced, and `Describe`."""

    def __init__(self, clock: Callable[[], datetime.datetime] = datetime.datetime.now) -> None:
        self._clock = clock
        # Another one for every start: a node refuses calls that span a restart, because what was kept for them is gone.
        self._instance = uuid.uuid4().hex

    def _is_open(self) -> bool:
        return self._clock().hour in range(8, 18)

    async def describe(self, request: wire.DescribeRequest, _: Any) -> wire.DescribeResponse:
        # Phases that are not announced are never asked for, so they cost nothing. No state is kept for a call here,
        # so its end is of no interest.
        return wire.DescribeResponse(
            name="opening hours",
            instance=self._instance,
            phases=[wire.PHASE_FILTER_TOOLS, wire.PHASE_BEFORE_EXECUTE],
            headers=["x-emergency"],
        )

    async def filter_tools(self, request: wire.FilterToolsRequest, _: Any) -> wire.FilterToolsResponse:
        # Positions in the list of the request. Who calls does not matter, so there is no identity to keep it for.
        return wire.FilterToolsResponse(
            visible=[
                position
                for position, tool in enumerate(request.tools)
                if self._is_open() or not tool.name.endswith(("_create", "_update", "_delete"))
            ]
        )

    async def before_execute(self, request: wire.BeforeExecuteRequest, _: Any) -> wire.BeforeExecuteResponse:
        is_emergency = any(header.name == "x-emergency" for header in request.call.headers)
        if self._is_open() or is_emergency:
            return wire.BeforeExecuteResponse(extra_headers=[wire.Header(name="X-Checked-By", value="opening hours")])
        # A denial is an answer. A status, such as one that an exception causes, is a failure: the node goes by its
        # rule for the phase then.
        return wire.BeforeExecuteResponse(denial=wire.Denial(message="We are closed.", code="closed"))


def make_server(service: OpeningHours) -> grpc.aio.Server:
    """A server without an address."""
    answers: dict[str, Callable[..., Any]] = {
        "Describe": service.describe,
        "FilterTools": service.filter_tools,
        "BeforeExecute": service.before_execute,
    }
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=wire.SERVICES["HookService"][method][0].FromString,
            response_serializer=wire.SERVICES["HookService"][method][1].SerializeToString,
        )
        for method, answer in answers.items()
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"{wire.PACKAGE}.HookService", handlers),))
    return server


async def serve(address: str) -> None:
    """Serves until it is interrupted. Beyond one machine use `add_secure_port`: identities and arguments pass here."""
    server = make_server(OpeningHours())
    server.add_insecure_port(address)
    await server.start()
    print(f"listening at {address}")
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50071"))
