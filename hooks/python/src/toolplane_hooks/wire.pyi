"""Types of the messages that `wire.py` builds; a test compares the names."""

from collections.abc import Iterable, Mapping, MutableMapping, MutableSequence
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

PACKAGE: str
SERVICES: dict[str, dict[str, tuple[Any, Any]]]

PHASE_UNSPECIFIED: int
PHASE_AUTHENTICATE: int
PHASE_FILTER_TOOLS: int
PHASE_AUTHORIZE_CODE: int
PHASE_BEFORE_EXECUTE: int
PHASE_TRANSFORM_RESULT: int
PHASE_AFTER_EXECUTE: int
PHASE_REPORT_ERROR: int

class DescribeRequest(Message):
    node_build: str
    def __init__(
        self,
        *,
        node_build: str | None = ...,
    ) -> None: ...

class DescribeResponse(Message):
    name: str
    instance: str
    phases: MutableSequence[int]
    wants_end_call: bool
    headers: MutableSequence[str]
    def __init__(
        self,
        *,
        name: str | None = ...,
        instance: str | None = ...,
        phases: Iterable[int] | None = ...,
        wants_end_call: bool | None = ...,
        headers: Iterable[str] | None = ...,
    ) -> None: ...

class Call(Message):
    id: str
    instance: str
    identity: Identity
    headers: MutableSequence[Header]
    request_meta: str
    session: str
    def __init__(
        self,
        *,
        id: str | None = ...,
        instance: str | None = ...,
        identity: Identity | None = ...,
        headers: Iterable[Header] | None = ...,
        request_meta: str | None = ...,
        session: str | None = ...,
    ) -> None: ...

class Header(Message):
    name: str
    value: str
    def __init__(
        self,
        *,
        name: str | None = ...,
        value: str | None = ...,
    ) -> None: ...

class Identity(Message):
    handle: str
    subject: str
    visibility_key: str
    def __init__(
        self,
        *,
        handle: str | None = ...,
        subject: str | None = ...,
        visibility_key: str | None = ...,
    ) -> None: ...

class AuthenticateRequest(Message):
    call: Call
    def __init__(
        self,
        *,
        call: Call | None = ...,
    ) -> None: ...

class AuthenticateResponse(Message):
    identity: Identity
    denial: Denial
    def __init__(
        self,
        *,
        identity: Identity | None = ...,
        denial: Denial | None = ...,
    ) -> None: ...

class Denial(Message):
    message: str
    code: str
    def __init__(
        self,
        *,
        message: str | None = ...,
        code: str | None = ...,
    ) -> None: ...

class Tool(Message):
    name: str
    domain: str
    group: str
    original_name: str
    description: str
    input_schema: str
    annotations: str
    def __init__(
        self,
        *,
        name: str | None = ...,
        domain: str | None = ...,
        group: str | None = ...,
        original_name: str | None = ...,
        description: str | None = ...,
        input_schema: str | None = ...,
        annotations: str | None = ...,
    ) -> None: ...

class FilterToolsRequest(Message):
    call: Call
    tools: MutableSequence[Tool]
    domain: str
    def __init__(
        self,
        *,
        call: Call | None = ...,
        tools: Iterable[Tool] | None = ...,
        domain: str | None = ...,
    ) -> None: ...

class FilterToolsResponse(Message):
    visible: MutableSequence[int]
    keep_for: Duration
    def __init__(
        self,
        *,
        visible: Iterable[int] | None = ...,
        keep_for: Duration | None = ...,
    ) -> None: ...

class AuthorizeCodeRequest(Message):
    call: Call
    def __init__(
        self,
        *,
        call: Call | None = ...,
    ) -> None: ...

class AuthorizeCodeResponse(Message):
    is_allowed: bool
    def __init__(
        self,
        *,
        is_allowed: bool | None = ...,
    ) -> None: ...

class BeforeExecuteRequest(Message):
    call: Call
    tool: Tool
    arguments: str
    extra_headers: MutableSequence[Header]
    metadata: MutableMapping[str, str]
    def __init__(
        self,
        *,
        call: Call | None = ...,
        tool: Tool | None = ...,
        arguments: str | None = ...,
        extra_headers: Iterable[Header] | None = ...,
        metadata: Mapping[str, str] | None = ...,
    ) -> None: ...

class BeforeExecuteResponse(Message):
    denial: Denial
    arguments: str
    extra_headers: MutableSequence[Header]
    metadata: MutableMapping[str, str]
    def __init__(
        self,
        *,
        denial: Denial | None = ...,
        arguments: str | None = ...,
        extra_headers: Iterable[Header] | None = ...,
        metadata: Mapping[str, str] | None = ...,
    ) -> None: ...

class TransformResultRequest(Message):
    call: Call
    tool: Tool
    arguments: str
    metadata: MutableMapping[str, str]
    result: str
    def __init__(
        self,
        *,
        call: Call | None = ...,
        tool: Tool | None = ...,
        arguments: str | None = ...,
        metadata: Mapping[str, str] | None = ...,
        result: str | None = ...,
    ) -> None: ...

class TransformResultResponse(Message):
    denial: Denial
    result: str
    def __init__(
        self,
        *,
        denial: Denial | None = ...,
        result: str | None = ...,
    ) -> None: ...

class AfterExecuteRequest(Message):
    call: Call
    tool: Tool
    arguments: str
    metadata: MutableMapping[str, str]
    text: str
    is_error: bool
    def __init__(
        self,
        *,
        call: Call | None = ...,
        tool: Tool | None = ...,
        arguments: str | None = ...,
        metadata: Mapping[str, str] | None = ...,
        text: str | None = ...,
        is_error: bool | None = ...,
    ) -> None: ...

class AfterExecuteResponse(Message):
    denial: Denial
    text: str
    def __init__(
        self,
        *,
        denial: Denial | None = ...,
        text: str | None = ...,
    ) -> None: ...

class ReportErrorRequest(Message):
    call: Call
    tool: Tool
    arguments: str
    metadata: MutableMapping[str, str]
    error: str
    code: str
    is_from_upstream: bool
    def __init__(
        self,
        *,
        call: Call | None = ...,
        tool: Tool | None = ...,
        arguments: str | None = ...,
        metadata: Mapping[str, str] | None = ...,
        error: str | None = ...,
        code: str | None = ...,
        is_from_upstream: bool | None = ...,
    ) -> None: ...

class ReportErrorResponse(Message): ...

class EndCallRequest(Message):
    call_id: str
    instance: str
    def __init__(
        self,
        *,
        call_id: str | None = ...,
        instance: str | None = ...,
    ) -> None: ...

class EndCallResponse(Message): ...

class FetchTokenRequest(Message):
    domain: str
    def __init__(
        self,
        *,
        domain: str | None = ...,
    ) -> None: ...

class FetchTokenResponse(Message):
    token: str
    def __init__(
        self,
        *,
        token: str | None = ...,
    ) -> None: ...
