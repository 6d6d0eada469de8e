"""The conformance suite of the MCP project against the gateway, as far as it concerns a server that offers tools."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support import HERE, Gateway

SCENARIOS = {
    "2025-06-18": ["server-initialize", "ping", "tools-list"],
    "2025-11-25": ["server-initialize", "ping", "tools-list", "dns-rebinding-protection"],
    "2026-07-28": ["server-stateless", "tools-list", "caching", "http-header-validation", "dns-rebinding-protection", "server-sse-multiple-streams"],
}


@pytest.mark.parametrize(("revision", "scenario"), [(revision, s) for revision, scenarios in SCENARIOS.items() for s in scenarios])
def test_the_gateway_conforms(both: Gateway, revision: str, scenario: str) -> None:
    modules = Path(os.environ["TOOLPLANE_TEST_NODE_MODULES"])
    suite = [str(modules / "node/bin/node"), str(modules / "@modelcontextprotocol/conformance/dist/index.js"), "server"]
    what = ["--url", both.mcp, "--scenario", scenario, "--spec-version", revision, "--expected-failures", str(HERE / "conformance-baseline.yml")]
    done = subprocess.run([*suite, *what], capture_output=True, text=True, timeout=120, env={"PATH": os.environ["PATH"], "NO_COLOR": "1"})
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-1000:]}"
