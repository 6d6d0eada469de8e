"""Hooks that the tests load, written as somebody would who has only the reference's names."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from typing import Any

from fastmcp_gateway import ExecutionDenied, Hook, get_user_headers
from fastmcp_gateway.hooks import ExecutionContext, ListToolsContext
from fastmcp_gateway.registry import ToolEntry


class LiveUser:
    """Cannot be serialized: it holds a lock."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.lock = threading.Lock()


class Live:
    """Reads the user and a note, both live objects, in every later phase."""

    async def on_authenticate(self, headers: dict[str, str]) -> Any:
        await asyncio.sleep(0)
        return LiveUser(headers["x-user"]) if "x-user" in headers else None

    async def before_execute(self, context: Any) -> None:
        context.metadata["lock"] = context.user.lock
        await asyncio.sleep(0.001)
        context.arguments["who"] = context.user.id

    async def transform_result(self, context: Any, result: Any) -> Any:
        assert context.metadata["lock"] is context.user.lock
        await asyncio.sleep(0.001)
        result.structured_content = {"who": context.user.id}
        return result

    async def after_execute(self, context: Any, result: str, is_error: bool) -> str:
        with context.metadata["lock"]:
            return f"{result} for {context.user.id} with {context.arguments['who']} in {get_user_headers()['x-user']}"


def live() -> list[Any]:
    return [Live()]


class Derived(Hook):
    """Implements one phase and inherits the rest of the protocol."""

    async def before_execute(self, context: Any) -> None:
        context.extra_headers["x-derived"] = "yes"


def derived() -> list[Any]:
    return [Derived()]


class Plain:
    """Methods that are no coroutines."""

    def before_execute(self, context: Any) -> None:
        context.arguments["thread"] = threading.current_thread() is not threading.main_thread()

    def after_execute(self, context: Any, result: str, is_error: bool) -> str:
        return result.upper() + ("!" if is_error else "")


class PlainStop:
    def before_execute(self, context: Any) -> None:
        raise StopIteration


class PlainBlocks:
    def before_execute(self, context: Any) -> None:
        time.sleep(60)

    async def after_execute(self, context: Any, result: str, is_error: bool) -> str:
        return result + " all the same"


def plain() -> list[Any]:
    return [Plain()]


def plain_stop() -> list[Any]:
    return [PlainStop()]


def plain_blocks() -> list[Any]:
    return [PlainBlocks()]


def logged(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        asyncio.get_running_loop()
        return function(*arguments)

    return wrapper


class Decorated:
    @logged
    async def before_execute(self, context: Any) -> None:
        context.arguments["decorated"] = True


def decorated() -> list[Any]:
    return [Decorated()]


class Blocks:
    """Blocks the event loop: what nobody should do."""

    async def before_execute(self, context: Any) -> None:
        time.sleep(60)


def blocks() -> list[Any]:
    return [Blocks()]


class Hangs:
    async def before_execute(self, context: Any) -> None:
        await asyncio.Event().wait()

    async def after_execute(self, context: Any, result: str, is_error: bool) -> str:
        return result + "!"


def hangs() -> list[Any]:
    return [Hangs()]


class Exits:
    async def before_execute(self, context: Any) -> None:
        raise SystemExit(3)


def exits() -> list[Any]:
    return [Exits()]


class Cancels:
    """Waits for something that somebody canceled."""

    async def before_execute(self, context: Any) -> None:
        waiting = asyncio.get_running_loop().create_future()
        waiting.cancel()
        await waiting


def cancels() -> list[Any]:
    return [Cancels()]


class Unusual(BaseException):
    """Not an `Exception`."""


class RaisesUnusual:
    async def before_execute(self, context: Any) -> None:
        raise Unusual("s3cret")


def unusual() -> list[Any]:
    return [RaisesUnusual()]


class Garbage:
    """Does what the header asks for."""

    async def before_execute(self, context: Any) -> None:
        match context.headers.get("x-garbage"):
            case "set":
                context.arguments["x"] = {1, 2}
            case "nan":
                context.arguments["x"] = float("nan")
            case "cycle":
                context.arguments["x"] = context.arguments
            case "key":
                context.arguments[7] = "x"
            case "list":
                context.arguments = [1]
            case "header":
                context.extra_headers["x-number"] = 7
            case "headers":
                context.extra_headers = ["x"]
            case "surrogate":
                context.arguments["x"] = "\ud800"

    async def transform_result(self, context: Any, result: Any) -> Any:
        match context.headers.get("x-garbage"):
            case "none":
                return None
            case "number":
                return 7
            case "content":
                result.content = "text"
            case "block":
                result.content.append(7)
            case "structured":
                result.structured_content = [1]
        return result

    async def after_execute(self, context: Any, result: str, is_error: bool) -> Any:
        match context.headers.get("x-garbage"):
            case "none":
                return None
            case "dict":
                return {"text": result}
            case "surrogate":
                return "\ud800"
        return result

    async def after_list_tools(self, tools: list[Any], context: Any) -> Any:
        match context.headers.get("x-garbage"):
            case "none":
                return None
            case "text":
                return "echo"
            case "unknown":
                return [ToolEntry(name="made_up", domain="x")]
            case "strings":
                return ["echo"]
            case "twice":
                return [*tools, *tools]
            case "denied":
                raise ExecutionDenied("no list")
        return tools


def garbage() -> list[Any]:
    return [Garbage()]


class Secretive:
    """Raises what must not be seen outside."""

    async def before_execute(self, context: Any) -> None:
        raise ValueError(f"token {context.headers['authorization']} is bad")

    async def on_error(self, context: Any, error: Exception) -> None:
        raise RuntimeError("first")


class Sees:
    seen: list[str] = []  # noqa: RUF012

    async def on_error(self, context: Any, error: Exception) -> None:
        print("on_error saw", type(error).__name__, error, error.code, context.tool.name, flush=True)  # type: ignore[attr-defined]


def secretive() -> list[Any]:
    return [Secretive(), Sees()]


class ContextFirst:
    """The order that the reference's manual shows."""

    async def after_list_tools(self, context: ListToolsContext, tools: list[Any]) -> list[Any]:
        assert isinstance(context, ListToolsContext)
        return [tool for tool in tools if tool.domain == (context.domain or tool.domain) and tool.name != "b"]


class OwnNames:
    async def after_list_tools(self, entries: list[Any], ctx: ListToolsContext) -> list[Any]:
        return [entry.model_copy(update={"description": "other"}) for entry in entries if entry.name != "c"]


def both_orders() -> list[Any]:
    return [ContextFirst(), OwnNames()]


class Denies:
    async def on_authenticate(self, headers: dict[str, str]) -> Any:
        raise ExecutionDenied("who are you?", code="Not Known!")

    async def after_execute(self, context: Any, result: str, is_error: bool) -> str:
        raise ExecutionDenied("withheld", code="withheld")


def denies() -> list[Any]:
    return [Denies()]


class Numbers:
    async def before_execute(self, context: ExecutionContext) -> None:
        assert isinstance(context, ExecutionContext)
        context.arguments["added"] = 1

    async def transform_result(self, context: Any, result: Any) -> Any:
        for block in result.content:
            if block.type == "text":
                block.text += "!"
        return result


def numbers() -> list[Any]:
    return [Numbers()]


class Looks:
    """Changes nothing."""

    async def before_execute(self, context: Any) -> None:
        assert context.arguments is not None

    async def transform_result(self, context: Any, result: Any) -> Any:
        assert result.content is not None
        return result

    async def after_execute(self, context: Any, result: str, is_error: bool) -> str:
        print("metadata", sorted(context.metadata), context.user, flush=True)
        return result


def looks() -> list[Any]:
    return [Looks()]


def loud() -> list[Any]:
    print("printed while loading")
    return [Looks()]


def fails() -> list[Any]:
    raise RuntimeError("no database\nat all")


def leaves() -> list[Any]:
    raise SystemExit(1)


async def async_factory() -> list[Any]:
    return []


def half_a_hook() -> list[Any]:
    hook = type("Half", (), {"before_execute": "not a method"})
    return [hook()]


async def allow_by_header(user: Any, context: dict[str, Any]) -> bool:
    return context["headers"].get("x-code-mode") == "yes"


def allow_plain(user: Any, context: dict[str, Any]) -> bool:
    return True


async def deny_code(user: Any, context: dict[str, Any]) -> bool:
    raise ExecutionDenied("no code")


def no_provider() -> None:
    return None


def bad_provider() -> Any:
    return lambda: 7


def not_a_provider() -> Any:
    return "token"
