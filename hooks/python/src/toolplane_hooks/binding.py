"""Finds the methods of hooks and calls them, each in the way that it was written.

Coroutine functions run on the event loop, as in the reference. Plain functions, which the reference refuses, run in a
pool of threads, so that one that blocks holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import compat, contexts

logger = logging.getLogger("toolplane_hooks")

PHASES = (
    "on_authenticate",
    "after_list_tools",
    "before_execute",
    "transform_result",
    "after_execute",
    "on_error",
)

_THREADS = ThreadPoolExecutor(max_workers=32, thread_name_prefix="hook")


class Denied(Exception):
    """A hook refuses the call."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Failed(Exception):
    """A hook did what it must not do. The text names hook and phase, and holds nothing that the hook wrote."""


class Bound:
    """One method of a hook, or a function."""

    __slots__ = ("_function", "_is_async", "_is_swapped", "title")

    def __init__(self, function: Callable[..., Any], title: str, *, is_swapped: bool = False) -> None:
        self._function = function
        self._is_async = _is_async(function)
        self._is_swapped = is_swapped
        self.title = title

    async def __call__(self, *arguments: Any) -> Any:
        """Calls it and waits for the outcome; whatever it raises becomes `Denied` or `Failed`."""
        if self._is_swapped:
            arguments = arguments[::-1]
        try:
            if self._is_async:
                return await self._function(*arguments)
            outcome = await asyncio.get_running_loop().run_in_executor(
                _THREADS, contextvars.copy_context().run, _call_in_thread, self._function, arguments
            )
            return await outcome if inspect.isawaitable(outcome) else outcome
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_given_up():
                raise
            # Everything else, be it `SystemExit`, is the hook's: it must neither end the process nor reach the node.
            if compat.is_denial(error):
                raise Denied(str(getattr(error, "message", "")), str(getattr(error, "code", ""))) from None
            logger.error("%s raised %s", self.title, type(error).__name__, exc_info=error)
            raise Failed(f"{self.title} raised {type(error).__name__}") from None


def _is_given_up() -> bool:
    """Whether the request was canceled, rather than something that a hook waited for. Python 3.10 cannot tell."""
    cancelling = getattr(asyncio.current_task(), "cancelling", None)
    return cancelling is None or cancelling() > 0


def _call_in_thread(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except StopIteration as error:
        # A future cannot carry it: whoever waits would wait forever.
        raise RuntimeError("a hook raised StopIteration") from error


def _is_async(function: Callable[..., Any]) -> bool:
    """Also sees through decorators and objects that can be called."""
    candidates = (function, inspect.unwrap(function), getattr(function, "__call__", None))  # noqa: B004
    return any(inspect.iscoroutinefunction(candidate) for candidate in candidates)


def _is_swapped(function: Callable[..., Any]) -> bool:
    """Whether `after_list_tools` takes the context first, by the names of its parameters."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    if "tools" in names and "context" in names:
        return names.index("context") < names.index("tools")
    return names[:1] == ["context"] or names[1:2] == ["tools"]


def bind(hooks: Iterable[Any]) -> dict[str, list[Bound]]:
    """The methods of each phase that some hook implements, in the order of the hooks."""
    bound: dict[str, list[Bound]] = {}
    protocols = (contexts.Hook, compat.protocol())
    for hook in hooks:
        for phase in PHASES:
            function = getattr(hook, phase, None)
            if function is None or _is_inherited(hook, phase, protocols):
                continue
            title = f"{phase} of {_name(hook)}"
            if not callable(function):
                raise TypeError(f"{title} is {type(function).__name__}, no method")
            is_swapped = phase == "after_list_tools" and _is_swapped(function)
            bound.setdefault(phase, []).append(Bound(function, title, is_swapped=is_swapped))
    return bound


def _is_inherited(hook: Any, phase: str, protocols: Iterable[type]) -> bool:
    """Whether a method is only what a class that derives from the protocol has of it."""
    method = getattr(type(hook), phase, None)
    return method is not None and any(method is getattr(protocol, phase, None) for protocol in protocols)


def _name(hook: Any) -> str:
    return hook.__name__ if isinstance(hook, type) else type(hook).__name__
