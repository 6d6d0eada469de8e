"""What one Python hook adds to a call, over the socket and seen from a Python client.

PYTHONPATH=src python tests/measure.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from support import TOOL, Runner, hooks
from toolplane_hooks import wire

ROUNDS = 3000


def measure(title: str, ask: Callable[[], Any]) -> None:
    for _ in range(200):
        ask()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        ask()
        times.append(time.perf_counter() - begun)
    times.sort()
    print(f"{title:44} p50 {times[ROUNDS // 2] * 1e6:6.0f} µs   p99 {times[ROUNDS * 99 // 100] * 1e6:6.0f} µs")


def measure_all(runner: Runner) -> None:
    call = runner.message(headers={"x-user": "alice", **{f"x-header-{n}": "value" for n in range(15)}})
    tools = [
        wire.Tool(name=f"tool_{n}", domain="echo", group="general", original_name=f"tool_{n}", description="Does it.")
        for n in range(527)
    ]
    arguments = '{"query":"annual report","limit":20,"filters":{"year":2026,"tags":["a","b"]}}'
    requests = {
        "no hook (Describe)": ("Describe", wire.DescribeRequest()),
        "on_authenticate": ("Authenticate", wire.AuthenticateRequest(call=call)),
        "before_execute": ("BeforeExecute", wire.BeforeExecuteRequest(call=call, tool=TOOL, arguments=arguments)),
        "after_execute": (
            "AfterExecute",
            wire.AfterExecuteRequest(call=call, tool=TOOL, arguments=arguments, text="x"),
        ),
        "after_list_tools, 527 tools": ("FilterTools", wire.FilterToolsRequest(call=call, tools=tools)),
    }
    for title, (name, request) in requests.items():
        measure(title, partial(runner.method(name), request))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, hooks(Path(folder), "recorder", "probe_hooks") as found:
        measure_all(found)
