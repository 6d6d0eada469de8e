"""Serves a `Service` over gRPC."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from . import binding, calls, json_text, wire
from .service import Service, denial, handlers

logger = logging.getLogger("toolplane_hooks")

_OPTIONS = [
    # Arguments and results are bounded by the node, which is the only client.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
]


def make(service: Service) -> grpc.aio.Server:
    """A server without an address."""
    server = grpc.aio.server(options=_OPTIONS)
    for name, methods in handlers(service).items():
        table = {}
        for method, answer in methods.items():
            request_class, response_class = wire.SERVICES[name][method]
            table[method] = grpc.unary_unary_rpc_method_handler(
                _guarded(answer, method, response_class),
                request_deserializer=request_class.FromString,
                response_serializer=response_class.SerializeToString,
            )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"{wire.PACKAGE}.{name}", table),))
    return server


def _guarded(
    answer: Callable[[Any], Awaitable[Any]], method: str, response_class: Any
) -> Callable[..., Awaitable[Any]]:
    """Turns what went wrong into a status that says nothing of what hooks or callers wrote."""
    can_deny = "denial" in response_class.DESCRIPTOR.fields_by_name

    async def handle(request: Any, context: Any) -> Any:
        try:
            return await answer(request)
        except binding.Denied as denied:
            if can_deny:
                return denial(response_class, denied)
            code, reason = grpc.StatusCode.INTERNAL, f"{method} cannot be denied"
        except binding.Failed as failed:
            code, reason = grpc.StatusCode.INTERNAL, str(failed)
        except calls.Stale as stale:
            code, reason = grpc.StatusCode.FAILED_PRECONDITION, str(stale)
        except json_text.Invalid as invalid:
            code, reason = grpc.StatusCode.INVALID_ARGUMENT, f"{method}: {invalid}"
        except Exception as error:
            logger.exception("%s failed", method)
            code, reason = grpc.StatusCode.INTERNAL, f"{method} failed: {type(error).__name__}"
        return await context.abort(code, reason)

    return handle
