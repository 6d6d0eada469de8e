"""The tools that the conformance suite calls, on the official Python SDK: `fixture.py PORT`. Speaks both eras.

The suite prescribes names, behavior and texts. Prompts and resources are left out: they do not pass a gateway for tools.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp_types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ListToolsResult,
    PaginatedRequestParams,
    SamplingMessage,
    TextContent,
    Tool,
)
from mcp.shared.message import ServerMessageMetadata

Context = ServerRequestContext[Any, Any]
Json = dict[str, Any]
Handler = Callable[[Context, CallToolRequestParams], Awaitable[Json]]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
PAUSE = 0.05

handlers: dict[str, Handler] = {}
tools: list[Tool] = []


def tool(name: str, **schema: Any) -> Callable[[Handler], Handler]:
    """Offers a tool; without a schema it takes no arguments."""

    def offer(handler: Handler) -> Handler:
        handlers[name] = handler
        tools.append(Tool(name=name, description=handler.__doc__, input_schema={"type": "object", "properties": {}, **schema}))
        return handler

    return offer


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def done(*content: Json, **more: Any) -> Json:
    return {"resultType": "complete", "content": list(content), **more}


# -- results ------------------------------------------------------------------


@tool("test_simple_text")
async def simple_text(ctx: Context, params: CallToolRequestParams) -> Json:
    """Answers with a text."""
    return done(text("This is a simple text response for testing."))


@tool("test_image_content")
async def image(ctx: Context, params: CallToolRequestParams) -> Json:
    """Answers with a picture."""
    return done({"type": "image", "data": PNG, "mimeType": "image/png"})


@tool("test_audio_content")
async def audio(ctx: Context, params: CallToolRequestParams) -> Json:
    """Answers with a sound."""
    return done({"type": "audio", "data": WAV, "mimeType": "audio/wav"})


@tool("test_embedded_resource")
async def embedded_resource(ctx: Context, params: CallToolRequestParams) -> Json:
    """Answers with a resource."""
    return done({"type": "resource", "resource": {"uri": "test://embedded-resource", "mimeType": "text/plain",
                                                  "text": "This is an embedded resource content."}})


@tool("test_multiple_content_types")
async def multiple_content_types(ctx: Context, params: CallToolRequestParams) -> Json:
    """Answers with one of each."""
    resource = {"uri": "test://mixed-content-resource", "mimeType": "application/json", "text": '{"test":"data","value":123}'}
    return done(text("Multiple content types test:"), {"type": "image", "data": PNG, "mimeType": "image/png"},
                {"type": "resource", "resource": resource})


@tool("test_error_handling")
async def error_handling(ctx: Context, params: CallToolRequestParams) -> Json:
    """Always fails."""
    return done(text("This tool intentionally returns an error for testing"), isError=True)


@tool("json_schema_2020_12_tool", **{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object",
                          "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
                   "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                   "phone": {"type": "string"}, "email": {"type": "string"}},
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
})
async def json_schema(ctx: Context, params: CallToolRequestParams) -> Json:
    """Has a schema with everything in it."""
    return done(text("ok"))


@tool("test_custom_header", properties={"region": {"type": "string", "x-mcp-header": "Region"}}, required=["region"])
async def custom_header(ctx: Context, params: CallToolRequestParams) -> Json:
    """Has an argument that clients repeat in a header."""
    return done(text(f"region: {(params.arguments or {})['region']}"))


# -- what is said meanwhile ---------------------------------------------------


@tool("test_tool_with_progress")
async def progress(ctx: Context, params: CallToolRequestParams) -> Json:
    """Reports progress."""
    for reached in (0, 50, 100):
        await ctx.session.report_progress(reached, 100)
        await asyncio.sleep(PAUSE)
    return done(text("Tool with progress executed."))


async def logging(ctx: Context, params: CallToolRequestParams) -> Json:
    """Logs."""
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", said, related_request_id=ctx.request_id)
        await asyncio.sleep(PAUSE)
    return done(text("Tool with logging executed."))


# The suite calls it by another name in each era.
tool("test_tool_with_logging")(logging)
tool("test_logging_tool")(logging)


# -- questions to the caller, in the stateless revision -----------------------

NAME = {"method": "elicitation/create", "params": {"message": "What is your name?", "requestedSchema": {
    "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}}
COLOR = {"method": "elicitation/create", "params": {"message": "Step 2: What is your favorite color?", "requestedSchema": {
    "type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}}}
CONFIRM = {"method": "elicitation/create", "params": {"message": "Please confirm", "requestedSchema": {
    "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}}}
CAPITAL = {"method": "sampling/createMessage", "params": {
    "messages": [{"role": "user", "content": text("What is the capital of France?")}], "maxTokens": 100}}
ROOTS = {"method": "roots/list", "params": {}}


def ask(state: str | None = None, **questions: Json) -> Json:
    asked: Json = {"resultType": "input_required", "inputRequests": questions}
    return asked if state is None else {**asked, "requestState": state}


def answered(params: CallToolRequestParams, *keys: str) -> bool:
    return all(key in (params.input_responses or {}) for key in keys)


def asking(name: str, state: str | None = None, **questions: Json) -> None:
    """Offers a tool that asks until everything is answered, and then is content."""

    async def handler(ctx: Context, params: CallToolRequestParams) -> Json:
        if not answered(params, *questions):
            return ask(state, **questions)
        if params.request_state != state:
            raise MCPError(INVALID_PARAMS, "the request state is missing")
        return done(text("state-ok" if state else "answered"))

    handler.__doc__ = f"Asks for {' and '.join(questions)}."
    tool(name)(handler)


asking("test_input_required_result_elicitation", user_name=NAME)
asking("test_input_required_result_sampling", capital_question=CAPITAL)
asking("test_input_required_result_list_roots", client_roots=ROOTS)
asking("test_input_required_result_request_state", "confirming", confirm=CONFIRM)
asking("test_input_required_result_tampered_state", "tampered with", confirm=CONFIRM)
asking("test_input_required_result_multiple_inputs", "many", user_name=NAME, greeting=CAPITAL, client_roots=ROOTS)
asking("test_streaming_elicitation", user_name=NAME)


@tool("test_input_required_result_multi_round")
async def multi_round(ctx: Context, params: CallToolRequestParams) -> Json:
    """Asks twice."""
    if params.request_state == "second" and answered(params, "step2"):
        return done(text("both steps are done"))
    if params.request_state == "first" and answered(params, "step1"):
        return ask("second", step2=COLOR)
    return ask("first", step1=NAME)


@tool("test_input_required_result_capabilities")
async def capabilities(ctx: Context, params: CallToolRequestParams) -> Json:
    """Asks what the caller can be asked."""
    declared = ctx.session.client_capabilities
    questions = {}
    if declared and declared.elicitation:
        questions["user_name"] = NAME
    if declared and declared.sampling:
        questions["capital_question"] = CAPITAL
    return ask(**questions) if questions else done(text("you cannot be asked"))


@tool("test_missing_capability")
async def missing_capability(ctx: Context, params: CallToolRequestParams) -> Json:
    """Works for callers with sampling only."""
    declared = ctx.session.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "needs sampling", {"requiredCapabilities": {"sampling": {}}})
    return done(text("sampling is there"))


# -- questions to the caller, in the handshake revisions ----------------------


@tool("test_sampling", properties={"prompt": {"type": "string"}}, required=["prompt"])
async def sampling(ctx: Context, params: CallToolRequestParams) -> Json:
    """Asks the caller's model."""
    prompt = SamplingMessage(role="user", content=TextContent(type="text", text=(params.arguments or {})["prompt"]))
    request = CreateMessageRequest(params=CreateMessageRequestParams(messages=[prompt], max_tokens=100))
    metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
    return done(text(f"LLM response: {await ctx.session.send_request(request, CreateMessageResult, metadata=metadata)}"))


async def elicit(ctx: Context, params: CallToolRequestParams) -> Json:
    """Asks the user."""
    schema = {"type": "object", "properties": {"name": {"type": "string", "default": "John Doe"}}}
    return done(text(f"User response: {await ctx.session.elicit_form('Who is there?', schema, ctx.request_id)}"))


for name in ("test_elicitation", "test_elicitation_sep1034_defaults", "test_elicitation_sep1330_enums"):
    tool(name)(elicit)


# -- the server ---------------------------------------------------------------


async def list_tools(ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=tools)


async def call_tool(ctx: Context, params: CallToolRequestParams) -> Any:
    if params.name not in handlers:
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
    return await handlers[params.name](ctx, params)


if __name__ == "__main__":
    server = Server("fixture", version="1", on_list_tools=list_tools, on_call_tool=call_tool)
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience="fixture"))
    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
