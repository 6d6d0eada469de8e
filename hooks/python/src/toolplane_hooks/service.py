"""Answers the requests of `HookService` and `TokenService` with what the loaded hooks say."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from . import __version__, binding, calls, compat, contexts, json_text, wire
from .loading import Loaded
from .results import ResultText
from .tools import ToolEntry

_PHASE_NUMBERS = {
    "on_authenticate": wire.PHASE_AUTHENTICATE,
    "after_list_tools": wire.PHASE_FILTER_TOOLS,
    "before_execute": wire.PHASE_BEFORE_EXECUTE,
    "transform_result": wire.PHASE_TRANSFORM_RESULT,
    "after_execute": wire.PHASE_AFTER_EXECUTE,
    "on_error": wire.PHASE_REPORT_ERROR,
}
_EXECUTION = ("before_execute", "transform_result", "after_execute", "on_error")
_NOT_IN_CODES = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_CODE = 64


class Service:
    """The hooks of one process. Methods named after those of the wire take its messages and return them."""

    def __init__(self, loaded: Loaded, title: str) -> None:
        self._title = title
        self._bound = binding.bind(loaded.hooks)
        self._authorizer = self._function(loaded.authorizer, "the code mode authorizer")
        self._token_provider = self._function(loaded.token_provider, "the token provider")
        self._execution_context, self._list_context = compat.context_classes()
        self.instance = uuid.uuid4().hex
        self.calls = calls.Calls(self.instance)
        # One phase of an execution alone leaves nothing for another one.
        self._keeps_calls = "on_authenticate" in self._bound or sum(phase in self._bound for phase in _EXECUTION) > 1

    @staticmethod
    def _function(function: Callable[..., Any] | None, title: str) -> binding.Bound | None:
        return None if function is None else binding.Bound(function, title)

    @property
    def phases(self) -> list[int]:
        """What to announce."""
        phases = [_PHASE_NUMBERS[phase] for phase in binding.PHASES if phase in self._bound]
        if self._authorizer is not None:
            phases.append(wire.PHASE_AUTHORIZE_CODE)
        return sorted(phases)

    @property
    def provides_tokens(self) -> bool:
        """Whether `FetchToken` has somebody to ask."""
        return self._token_provider is not None

    def _open(self, message: Any) -> calls.Call:
        call = self.calls.open(message, keep=self._keeps_calls)
        contexts.current_headers.set(call.headers)
        return call

    # ---- every call ----

    async def Describe(self, request: wire.DescribeRequest) -> wire.DescribeResponse:
        return wire.DescribeResponse(
            name=f"{self._title} (toolplane-hooks {__version__}, Python {sys.version.split()[0]})",
            instance=self.instance,
            phases=self.phases,
            wants_end_call=self._keeps_calls,
        )

    async def Authenticate(self, request: wire.AuthenticateRequest) -> wire.AuthenticateResponse:
        call = self._open(request.call)
        user = None
        for method in self._bound.get("on_authenticate", ()):
            found = await method(call.headers)
            user = user if found is None else found
        if user is None:
            return wire.AuthenticateResponse()
        handle = self.calls.identify(call, user)
        return wire.AuthenticateResponse(identity=wire.Identity(handle=handle, subject=calls.subject(user)))

    async def FilterTools(self, request: wire.FilterToolsRequest) -> wire.FilterToolsResponse:
        call = self._open(request.call)
        domain = request.domain if request.HasField("domain") else None
        context = self._list_context(domain=domain, headers=call.headers, user=call.user)
        given = [ToolEntry.from_wire(tool) for tool in request.tools]
        tools: Any = list(given)
        for method in self._bound.get("after_list_tools", ()):
            try:
                tools = await method(tools, context)
            except binding.Denied:
                raise binding.Failed(
                    f"{method.title} raised ExecutionDenied, which only executions can answer"
                ) from None
            if not isinstance(tools, (list, tuple)):
                raise binding.Failed(f"{method.title} returned {type(tools).__name__}, not a list of tools")
        return wire.FilterToolsResponse(visible=_positions(given, tools))

    async def AuthorizeCode(self, request: wire.AuthorizeCodeRequest) -> wire.AuthorizeCodeResponse:
        call = self._open(request.call)
        if self._authorizer is None:
            raise binding.Failed("there is no code mode authorizer")
        try:
            is_allowed = bool(await self._authorizer(call.user, {"headers": call.headers}))
        except binding.Denied:
            is_allowed = False
        return wire.AuthorizeCodeResponse(is_allowed=is_allowed)

    async def EndCall(self, request: wire.EndCallRequest) -> wire.EndCallResponse:
        if request.instance == self.instance:
            self.calls.end(request.call_id)
        return wire.EndCallResponse()

    # ---- an execution ----

    async def BeforeExecute(self, request: wire.BeforeExecuteRequest) -> wire.BeforeExecuteResponse:
        call = self._open(request.call)
        context = self._new_context(call, request)
        given_headers = {header.name: header.value for header in request.extra_headers}
        context.extra_headers.update(given_headers)
        before = json_text.fingerprint(context.arguments)
        for method in self._bound.get("before_execute", ()):
            await method(context)
        if context.arguments is None:
            context.arguments = {}
        if not isinstance(context.arguments, dict):
            raise binding.Failed(
                f"a before_execute hook left {type(context.arguments).__name__} as arguments, not a dict"
            )
        response = wire.BeforeExecuteResponse(extra_headers=_new_headers(given_headers, context.extra_headers))
        after = json_text.fingerprint(context.arguments)
        if after is None or after != before:
            try:
                response.arguments = call.arguments_text = json_text.encode(context.arguments)
            except json_text.Invalid as error:
                raise binding.Failed(f"a before_execute hook left arguments that are no JSON: {error}") from None
        return response

    async def TransformResult(self, request: wire.TransformResultRequest) -> wire.TransformResultResponse:
        context = self._context(request)
        text = ResultText(request.result)
        result: Any = text.result
        for method in self._bound.get("transform_result", ()):
            result = await method(context, result)
        try:
            changed = text.changed(result)
        except json_text.Invalid as error:
            raise binding.Failed(f"a transform_result hook returned no result: {error}") from None
        return wire.TransformResultResponse() if changed is None else wire.TransformResultResponse(result=changed)

    async def AfterExecute(self, request: wire.AfterExecuteRequest) -> wire.AfterExecuteResponse:
        context = self._context(request)
        text: Any = request.text
        for method in self._bound.get("after_execute", ()):
            text = await method(context, text, request.is_error)
            if not isinstance(text, str):
                raise binding.Failed(f"{method.title} returned {type(text).__name__}, not text")
        return wire.AfterExecuteResponse() if text == request.text else wire.AfterExecuteResponse(text=text)

    async def ReportError(self, request: wire.ReportErrorRequest) -> wire.ReportErrorResponse:
        context = self._context(request)
        error: Exception = contexts.McpError(request.error) if request.is_from_upstream else RuntimeError(request.error)
        error.code = request.code  # type: ignore[attr-defined]
        for method in self._bound.get("on_error", ()):
            try:
                await method(context, error)
            except (binding.Denied, binding.Failed):
                # The log has it; an error can be watched, not changed.
                continue
        return wire.ReportErrorResponse()

    def _new_context(self, call: calls.Call, request: Any) -> Any:
        """The first phase of an execution that hooks take part in."""
        context = self._execution_context(
            tool=ToolEntry.from_wire(request.tool),
            arguments=json_text.decode_object(request.arguments),
            headers=call.headers,
            user=call.user,
            metadata={"code_session_id": call.session} if call.session else {},
        )
        # Older releases of the reference, whose class this may be, do not know it.
        context.request_meta = calls.request_meta(request.call)
        call.arguments_text = request.arguments
        call.context = context
        _take_notes(context, request)
        return context

    def _context(self, request: Any) -> Any:
        """A later phase: the context of the earlier ones."""
        call = self._open(request.call)
        context = call.context
        if context is None:
            if "before_execute" in self._bound:
                raise calls.Stale("nothing is known here of what came before in this call")
            return self._new_context(call, request)
        if request.arguments != call.arguments_text:
            # Another hook service changed them after ours.
            context.arguments = json_text.decode_object(request.arguments)
            call.arguments_text = request.arguments
        _take_notes(context, request)
        return context

    # ---- tokens ----

    async def FetchToken(self, request: wire.FetchTokenRequest) -> wire.FetchTokenResponse:
        if self._token_provider is None:
            raise binding.Failed("there is no token provider")
        try:
            token = await self._token_provider()
        except binding.Denied:
            raise binding.Failed("the token provider raised ExecutionDenied") from None
        if token is not None and not isinstance(token, str):
            raise binding.Failed(f"the token provider returned {type(token).__name__}, not text")
        return wire.FetchTokenResponse(token=token or "")


def denial(response: Callable[..., Any], denied: binding.Denied) -> Any:
    """The answer that refuses a call; characters that a code cannot have become `_`."""
    code = _NOT_IN_CODES.sub("_", denied.code)[:_LONGEST_CODE]
    message = denied.message.encode("utf-8", "replace").decode("utf-8")
    return response(denial=wire.Denial(message=message, code=code))


def handlers(service: Service) -> dict[str, dict[str, Callable[[Any], Awaitable[Any]]]]:
    """By service and method of the wire: who answers."""
    return {name: {method: getattr(service, method) for method in methods} for name, methods in wire.SERVICES.items()}


def _positions(given: list[ToolEntry], tools: Any) -> list[int]:
    """Where the tools that hooks returned are in the request; copies are known by their name."""
    by_id = {id(tool): position for position, tool in enumerate(given)}
    by_name: dict[str, int] | None = None
    positions = set()
    for tool in tools:
        position = by_id.get(id(tool))
        if position is None:
            if by_name is None:
                by_name = {known.name: position for position, known in enumerate(given)}
            position = by_name.get(getattr(tool, "name", ""))
        if position is None:
            raise binding.Failed(
                f"an after_list_tools hook returned {type(tool).__name__} that is none of the tools it got"
            )
        positions.add(position)
    return sorted(positions)


def _new_headers(given: dict[str, str], wanted: Any) -> list[wire.Header]:
    if not isinstance(wanted, dict):
        raise binding.Failed(f"a before_execute hook left {type(wanted).__name__} as extra_headers, not a dict")
    headers = []
    for name, value in wanted.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise binding.Failed("a before_execute hook left an extra header that is not text")
        if given.get(name) != value:
            headers.append(wire.Header(name=name, value=value))
    return headers


def _take_notes(context: Any, request: Any) -> None:
    """Notes of other hook services; ours, which may be live objects, win."""
    for key, text in request.metadata.items():
        if key not in context.metadata:
            context.metadata[key] = json_text.decode(text)
