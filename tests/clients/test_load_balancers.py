"""Two nodes behind nginx and behind HAProxy, with the configuration that deploy/ shows: no call is lost when nodes come and go."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from support import HERE, HOST, await_answer, body, free_port, running, session

pytestmark = pytest.mark.anyio

EXAMPLES = HERE.parent.parent / "deploy" / "load-balancers"
GRACE = 2


@dataclass
class Node:
    """A node that can be told to stop and be started again where it was."""

    name: str
    folder: Path
    env: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def calls(self) -> int:
        """How many tool calls it has answered."""
        return len(re.findall(r"answered.*execute_tool", self.log.read_text()))

    def start(self) -> None:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "NO_COLOR": "1", "GATEWAY_HOST": HOST, "GATEWAY_PORT": str(self.port),
               "TOOLPLANE_DATA_DIR": str(self.folder / self.name), "TOOLPLANE_DATA_PLANE_NODE_ID": self.name,
               "TOOLPLANE_DRAIN_GRACE": str(GRACE), "TOOLPLANE_DRAIN_TIMEOUT": "20", **self.env}
        with self.log.open("ab") as out:
            self.process = subprocess.Popen([os.environ["TOOLPLANE_BIN"], "data-plane"], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        await_answer(self.process, f"http://{HOST}:{self.port}/readyz", self.log, {200})

    def tell_to_stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, 40)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@dataclass
class Fleet:
    """Two nodes, a balancer in front of them, and the slow server behind them."""

    nodes: list[Node]
    mcp: str
    upstream: str

    def calls_under_way(self) -> int:
        return int(httpx.get(f"{self.upstream}/running", timeout=5).text)


# -- starting it ----------------------------------------------------------------


@contextmanager
def control_plane(folder: Path, upstream: str) -> Iterator[dict[str, str]]:
    """Runs one, and gives what nodes need to follow it."""
    socket, token, log = folder / "cp.sock", folder / "node.token", folder / "control-plane.log"
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TOOLPLANE_DATA_DIR": str(folder / "control"),
           "GATEWAY_UPSTREAMS": f'{{"slow": "{upstream}/mcp"}}'}
    binary = os.environ["TOOLPLANE_BIN"]
    with log.open("ab") as out:
        process = subprocess.Popen([binary, "control-plane", "--listen", f"unix:{socket}"], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while True:
            made = subprocess.run([binary, "token", "create", "--role", "node"], env=env, capture_output=True, text=True)
            if made.returncode == 0:
                break
            assert process.poll() is None and time.monotonic() < deadline, f"{made.stderr}\n{log.read_text()[-2000:]}"
            time.sleep(0.05)
        token.write_text(made.stdout)
        yield {"TOOLPLANE_CONTROL_PLANE_ADDRESS": f"unix:{socket}", "TOOLPLANE_DATA_PLANE_TOKEN_FILE": str(token)}
    finally:
        process.kill()
        process.wait()


def installed(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join((os.environ["PATH"], "/usr/sbin")))
    assert found, f"{name} is not installed: Debian has it in `nginx-light` or `haproxy`"
    return found


def adapted(example: str, nodes: list[Node], replaced: dict[str, str]) -> str:
    """The example with the ports of this run; whatever has to be replaced must be there."""
    text = (EXAMPLES / example).read_text()
    ports = {f"{node.name}:8080": f"{HOST}:{node.port}" for node in nodes}
    for old, new in {**ports, **replaced}.items():
        assert old in text, f"{example} lacks {old!r}"
        text = text.replace(old, new)
    return text


def nginx(folder: Path, nodes: list[Node], port: int) -> list[str]:
    (folder / "tmp").mkdir()
    paths = "".join(f"{kind}_temp_path {folder}/tmp/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(adapted("nginx.conf", nodes, {
        "listen 80;": f"listen {HOST}:{port};", "/var/log/nginx/toolplane.log": f"{folder}/access.log", "http {\n": f"http {{\n{paths}"}))
    user = " user root;" if os.geteuid() == 0 else ""
    return [installed("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr",
            "-g", f"daemon off; pid {folder}/nginx.pid; error_log stderr;{user}"]


def haproxy(folder: Path, nodes: list[Node], port: int) -> list[str]:
    (folder / "haproxy.cfg").write_text(adapted("haproxy.cfg", nodes, {"bind :80": f"bind {HOST}:{port}"}))
    return [installed("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


@pytest.fixture(params=[nginx, haproxy], ids=lambda balancer: balancer.__name__)
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    with ExitStack() as stack:
        # Short, because a socket is in it.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-", ignore_cleanup_errors=True)))
        port, upstream_port = free_port(), free_port()
        upstream = f"http://{HOST}:{upstream_port}"
        stack.enter_context(running("slow", [sys.executable, str(HERE / "servers/slow.py"), str(upstream_port)], {}, folder, f"{upstream}/running"))
        env = stack.enter_context(control_plane(folder, upstream))
        nodes = [Node(f"node-{number}", folder, env) for number in (1, 2)]
        for node in nodes:
            stack.callback(node.kill)
            node.start()
        front = f"http://{HOST}:{port}"
        stack.enter_context(running("balancer", request.param(folder, nodes, port), {}, folder, f"{front}/readyz", {200}))
        yield Fleet(nodes, f"{front}/mcp", upstream)


# -- what must hold ---------------------------------------------------------------


async def call(mcp: str, number: int, seconds: float = 0) -> None:
    """One call in a session of its own."""
    async with session(mcp) as (opened, _):
        answer = body(await opened.call_tool("execute_tool", {"tool_name": "echo", "arguments": {"number": number, "seconds": seconds}}))
    assert answer.get("result") == str(number), answer


async def keep_calling(mcp: str, client: int, until: asyncio.Event) -> int:
    """Calls one after the other over the same session, and says how often; a lost or a wrong answer fails the test."""
    made = 0
    async with session(mcp) as (opened, _):
        while not until.is_set():
            number = client * 1_000_000 + made
            answer = body(await opened.call_tool("execute_tool", {"tool_name": "echo", "arguments": {"number": number}}))
            assert answer.get("result") == str(number), answer
            made += 1
    return made


async def test_requests_are_spread_over_the_nodes(fleet: Fleet) -> None:
    await asyncio.gather(*(call(fleet.mcp, number) for number in range(24)))
    # Lines of the access log are written together, a moment after the answers.
    async with asyncio.timeout(10):
        while sum(spread := [node.calls for node in fleet.nodes]) < 24:
            await asyncio.sleep(0.02)
    assert sum(spread) == 24 and min(spread) >= 4, spread


async def test_a_rolling_restart_under_load_loses_no_call(fleet: Fleet) -> None:
    done = asyncio.Event()
    load = [asyncio.create_task(keep_calling(fleet.mcp, client, done)) for client in range(4)]
    for node in fleet.nodes:
        before = node.calls
        node.tell_to_stop()
        assert await node.ended() == 0
        await asyncio.to_thread(node.start)
        answered = node.calls
        assert answered >= before
        # The restarted node gets load again before the other one goes.
        async with asyncio.timeout(60):
            while node.calls <= answered and not any(task.done() for task in load):
                await asyncio.sleep(0.05)
    done.set()
    made = await asyncio.gather(*load)
    assert min(made) > 0, made
    print(f"{sum(made)} calls, none lost")


async def test_a_drain_finishes_slow_calls(fleet: Fleet) -> None:
    slow = [asyncio.create_task(call(fleet.mcp, number, seconds=GRACE + 2)) for number in range(8)]
    async with asyncio.timeout(30):
        while await asyncio.to_thread(fleet.calls_under_way) < len(slow):
            assert not any(task.done() for task in slow)
            await asyncio.sleep(0.02)
    node = fleet.nodes[0]
    before = node.calls
    node.tell_to_stop()
    for number in range(100, 110):
        await call(fleet.mcp, number)
    await asyncio.gather(*slow)
    assert await node.ended() == 0
    assert node.calls > before, "none of the slow calls was its own"
