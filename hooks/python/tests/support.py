"""Starts the runner as a node does, and talks to it over its socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from toolplane_hooks import wire

HERE = Path(__file__).resolve().parent
SRC = HERE.parent / "src"
MODULES = HERE / "modules"
PARITY_MODULES = HERE.parents[2] / "tests" / "parity" / "hooks"
TIMEOUT = 30.0


def environment(**extra: str) -> dict[str, str]:
    path = os.pathsep.join(map(str, (SRC, MODULES, PARITY_MODULES)))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **extra}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "toolplane_hooks", *arguments]


class Runner:
    """A running hook process. `call` asks it something and returns the answer."""

    def __init__(self, process: subprocess.Popen[str], socket: Path, ready: dict[str, Any]) -> None:
        self.process = process
        self.ready = ready
        self.channel = grpc.insecure_channel(f"unix:{socket}")
        self.lines: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (process.stdout, process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any) -> None:
        self.lines.extend(stream)

    def method(self, name: str, service: str = "HookService") -> Any:
        request, response = wire.SERVICES[service][name]
        return self.channel.unary_unary(
            f"/{wire.PACKAGE}.{service}/{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )

    def call(self, name: str, message: Any, timeout: float = TIMEOUT, service: str = "HookService") -> Any:
        return self.method(name, service)(message, timeout=timeout)

    def message(self, call_id: str = "c1", headers: dict[str, str] | None = None, **fields: Any) -> wire.Call:
        return wire.Call(
            id=call_id,
            instance=fields.pop("instance", self.ready["instance"]),
            headers=[wire.Header(name=name, value=value) for name, value in (headers or {}).items()],
            **fields,
        )

    def authenticate(self, call: wire.Call) -> wire.AuthenticateResponse:
        """Asks who is calling, and puts the answer into the call as a node does."""
        answer: wire.AuthenticateResponse = self.call("Authenticate", wire.AuthenticateRequest(call=call))
        if answer.WhichOneof("outcome") == "identity":
            call.identity.CopyFrom(answer.identity)
        return answer

    def before(self, call: wire.Call, arguments: str = "{}", **fields: Any) -> wire.BeforeExecuteResponse:
        request = wire.BeforeExecuteRequest(call=call, tool=TOOL, arguments=arguments, **fields)
        answer: wire.BeforeExecuteResponse = self.call("BeforeExecute", request)
        return answer

    def transform(self, call: wire.Call, result: str, arguments: str = "{}") -> wire.TransformResultResponse:
        request = wire.TransformResultRequest(call=call, tool=TOOL, arguments=arguments, result=result)
        answer: wire.TransformResultResponse = self.call("TransformResult", request)
        return answer

    def after(
        self, call: wire.Call, text: str, is_error: bool = False, arguments: str = "{}"
    ) -> wire.AfterExecuteResponse:
        request = wire.AfterExecuteRequest(call=call, tool=TOOL, arguments=arguments, text=text, is_error=is_error)
        answer: wire.AfterExecuteResponse = self.call("AfterExecute", request)
        return answer

    def end_call(self, call: wire.Call) -> None:
        self.call("EndCall", wire.EndCallRequest(call_id=call.id, instance=call.instance))

    def visible(self, call: wire.Call, names: list[str], domain: str | None = None) -> list[int]:
        tools = [wire.Tool(name=name, domain="echo", group="general", original_name=name) for name in names]
        request = wire.FilterToolsRequest(call=call, tools=tools, domain=domain)
        return list(self.call("FilterTools", request).visible)

    def log(self) -> str:
        """All that it wrote after it was ready; ends it first."""
        self.end()
        return "".join(self.lines)

    def end(self) -> int:
        """Ends it as a parent that goes away does."""
        self.channel.close()
        assert self.process.stdin is not None
        if not self.process.stdin.closed:
            self.process.stdin.close()
        code = self.process.wait(TIMEOUT)
        for reader in self._readers:
            reader.join(TIMEOUT)
        return code


TOOL = wire.Tool(name="echo", domain="echo", group="general", original_name="echo", input_schema='{"type":"object"}')


@contextmanager
def running(folder: Path, *arguments: str, **extra: str) -> Iterator[Runner]:
    """Runs it for as long as the block lasts."""
    socket = folder / "hooks.sock"
    process = subprocess.Popen(
        command("--socket", str(socket), *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**extra),
    )
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.stderr.read())
    runner = Runner(process, socket, json.loads(line))
    try:
        yield runner
    finally:
        if process.poll() is None:
            process.kill()
        runner.end()


@contextmanager
def hooks(folder: Path, factory: str, module: str = "sample_hooks", **extra: str) -> Iterator[Runner]:
    """Runs it with the hooks of one factory."""
    with running(
        folder, "--hook-module", f"{module}:{factory}", "--allowed-prefixes", f"other , {module},", **extra
    ) as runner:
        yield runner


def check(*arguments: str, **extra: str) -> tuple[int, list[str]]:
    """Runs `--check`; returns the exit code and what it said."""
    done = subprocess.run(
        command("--check", *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(**extra),
        timeout=TIMEOUT,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()
