"""Starts the gateway and the servers behind it, and waits until they answer."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, InitializeResult, Tool

HOST = "127.0.0.1"
HERE = Path(__file__).resolve().parent
TOKEN = "client-tests-registration-token"
START_SECONDS = 60.0


# -- processes ----------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def stop(process: subprocess.Popen[bytes], first: signal.Signals = signal.SIGTERM) -> None:
    """Ends the process and whatever it started."""
    for number in (first, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(10)
            return
        except subprocess.TimeoutExpired:
            continue


def await_answer(process: subprocess.Popen[bytes], url: str, log: Path, statuses: set[int] | None = None) -> None:
    """Returns once *url* answers, with one of *statuses* where they are given."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"{log.stem} ended with status {process.returncode}:\n{log.read_text()[-2000:]}")
        try:
            if (status := httpx.get(url, timeout=2.0).status_code) and (statuses is None or status in statuses):
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} did not answer in {START_SECONDS:.0f} s:\n{log.read_text()[-2000:]}")


@contextmanager
def running(name: str, argv: list[str], env: dict[str, str], folder: Path, url: str, statuses: set[int] | None = None
            ) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a clean environment besides *env*, its output in *folder*, until the end of the block."""
    log = folder / f"{name}.log"
    clean = {k: os.environ[k] for k in ("PATH", "LANG", "LC_ALL", "TMPDIR") if k in os.environ}
    with log.open("ab") as out:
        process = subprocess.Popen(argv, env={**clean, "HOME": str(folder), "PYTHONUNBUFFERED": "1", **env}, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out, start_new_session=True)
    try:
        await_answer(process, url, log, statuses)
        yield process
    finally:
        stop(process)


# -- MCP ----------------------------------------------------------------------


@asynccontextmanager
async def session(url: str) -> AsyncIterator[tuple[ClientSession, InitializeResult]]:
    """An initialized session of the official client."""
    try:
        async with streamable_http_client(url) as (read, write, _), ClientSession(read, write) as opened:
            yield opened, await opened.initialize()
    except BaseExceptionGroup as group:  # the client wraps what a test raises, which would hide a failed assertion
        raise innermost(group) from None


def innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def tools_of(url: str) -> dict[str, Tool]:
    async with session(url) as (s, _):
        return {t.name: t for t in (await s.list_tools()).tools}


def body(result: CallToolResult) -> Any:
    """The JSON of the envelope, which is the first block."""
    return json.loads(result.content[0].text)


# -- the gateway --------------------------------------------------------------


@dataclass
class Gateway:
    """A running `toolplane standalone`."""

    base: str
    process: subprocess.Popen[bytes]

    @property
    def mcp(self) -> str:
        return f"{self.base}/mcp"

    async def ask(self, tool: str, **arguments: Any) -> Any:
        """The JSON that a meta-tool answers, in a session of its own."""
        async with session(self.mcp) as (s, _):
            return body(await s.call_tool(tool, arguments))

    def rest(self, method: str, path: str = "", token: str = TOKEN, **kwargs: Any) -> httpx.Response:
        return httpx.request(method, f"{self.base}/registry/servers{path}", headers={"Authorization": f"Bearer {token}"}, timeout=30, **kwargs)

    def register(self, domain: str, url: str, **more: Any) -> httpx.Response:
        return self.rest("POST", json={"domain": domain, "url": url, **more})


@contextmanager
def gateway(folder: Path, upstreams: dict[str, Any], **settings: str) -> Iterator[Gateway]:
    """Serves *upstreams* until the end of the block. What it stores stays in *folder*, for a later one to find."""
    port = free_port()
    base = f"http://{HOST}:{port}"
    env = {"GATEWAY_HOST": HOST, "GATEWAY_PORT": str(port), "GATEWAY_UPSTREAMS": json.dumps(upstreams), "GATEWAY_REGISTRATION_TOKEN": TOKEN,
           "TOOLPLANE_DATA_DIR": str(folder / "data"), **settings}
    with running("gateway", [os.environ["TOOLPLANE_BIN"], "standalone"], env, folder, f"{base}/readyz", {200}) as process:
        yield Gateway(base, process)
