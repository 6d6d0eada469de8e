"""What hook modules import: contexts, the denial, and the protocol that hooks follow."""

from __future__ import annotations

import contextvars
import inspect
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from .results import CallToolResult
    from .tools import ToolEntry

logger = logging.getLogger("toolplane_hooks")


@dataclass
class ExecutionContext:
    """One execution of a tool; the same object in all phases of the call."""

    tool: ToolEntry
    """What is to run."""
    arguments: dict[str, Any]
    """May be changed in place or replaced before the execution."""
    headers: dict[str, str]
    """Of the caller's request, with lower-case names."""
    user: Any | None = None
    """What `on_authenticate` returned."""
    extra_headers: dict[str, str] = field(default_factory=dict)
    """For the upstream."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Notes from hook to hook and from phase to phase; they never leave the process."""
    request_meta: Mapping[str, Any] | None = None
    """`_meta` of the request, read-only."""


@dataclass
class ListToolsContext:
    """Tools are about to be shown, counted, suggested or bound."""

    domain: str | None
    """Set where only one domain is listed."""
    headers: dict[str, str]
    """Of the caller's request, with lower-case names."""
    user: Any | None = None
    """What `on_authenticate` returned."""


class ExecutionDenied(Exception):
    """Raised by a hook to refuse a call. The caller gets the message and the code."""

    def __init__(self, message: str, *, code: str = "forbidden") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class McpError(Exception):
    """What `on_error` gets: the upstream was reached and answered with an error.

    Where it could not be reached, hooks get a plain `RuntimeError` that has the same `code`.
    """

    code: str = ""


@runtime_checkable
class Hook(Protocol):
    """The phases of a call. A hook is any object that has at least one of these methods."""

    async def on_authenticate(self, headers: dict[str, str]) -> Any | None:
        """Says who is calling. Of several hooks the last one that returns something decides."""

    async def before_execute(self, context: ExecutionContext) -> None:
        """Denies an execution, or changes its arguments and headers."""

    async def transform_result(self, context: ExecutionContext, result: CallToolResult) -> CallToolResult:
        """Returns the result to go on with."""
        return result

    async def after_execute(self, context: ExecutionContext, result: str, is_error: bool) -> str:
        """Returns the text that the caller gets."""
        return result

    async def after_list_tools(self, tools: list[ToolEntry], context: ListToolsContext) -> list[ToolEntry]:
        """Returns the tools that the caller may know of."""
        return tools

    async def on_error(self, context: ExecutionContext, error: Exception) -> None:
        """Learns that an upstream could not be called."""


async def _outcome(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


class HookRunner:
    """Runs hooks one after the other in this process: for tests of hook modules."""

    def __init__(self, hooks: Iterable[Any] | None = None) -> None:
        self._hooks = list(hooks or ())

    @property
    def has_hooks(self) -> bool:
        """Whether there are any."""
        return bool(self._hooks)

    def add(self, hook: Any) -> None:
        """Adds one behind the others."""
        self._hooks.append(hook)

    def _methods(self, phase: str) -> list[Any]:
        return [method for hook in self._hooks if (method := getattr(hook, phase, None)) is not None]

    async def run_authenticate(self, headers: dict[str, str]) -> Any | None:
        """The identity that the last hook to find one returned."""
        user = None
        for method in self._methods("on_authenticate"):
            found = await _outcome(method(headers))
            user = user if found is None else found
        return user

    async def run_before_execute(self, context: ExecutionContext) -> None:
        """Runs the phase before an execution."""
        for method in self._methods("before_execute"):
            await _outcome(method(context))

    async def run_transform_result(self, context: ExecutionContext, result: Any) -> Any:
        """The result as the last hook left it."""
        for method in self._methods("transform_result"):
            result = await _outcome(method(context, result))
        return result

    async def run_after_execute(self, context: ExecutionContext, result: str, is_error: bool) -> str:
        """The text as the last hook left it."""
        for method in self._methods("after_execute"):
            result = await _outcome(method(context, result, is_error))
        return result

    async def run_after_list_tools(self, tools: list[ToolEntry], context: ListToolsContext) -> list[ToolEntry]:
        """The tools that all hooks left."""
        for method in self._methods("after_list_tools"):
            tools = await _outcome(method(tools, context))
        return tools

    async def run_on_error(self, context: ExecutionContext, error: Exception) -> None:
        """Tells every hook, also when one of them fails."""
        for method in self._methods("on_error"):
            try:
                await _outcome(method(context, error))
            except Exception:
                logger.exception("on_error of a hook failed")


current_headers: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar(
    "toolplane_headers", default=None
)
"""Headers of the call that the running hook is about."""


def get_user_headers(*, include_all: bool = False) -> dict[str, str]:
    """The headers of the caller whose call the running hook is about; empty elsewhere.

    `include_all` changes nothing: the node has settled which headers hooks get.
    """
    return dict(current_headers.get() or {})
