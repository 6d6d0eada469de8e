"""The conformance suite of the MCP project against the gateway, from both sides.

What fails on purpose stands in `conformance/`, each entry with its reason; one that passes fails the run until it is taken out.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import HERE, HOST, Gateway, free_port, gateway, running

EXPECTED = HERE / "conformance"
REVISIONS = ["2025-06-18", "2025-11-25", "2026-07-28"]
# What concerns a node as it is shipped; the rest calls tools that only the suite's own server has.
SCENARIOS = {
    "2025-06-18": ["server-initialize", "ping", "tools-list"],
    "2025-11-25": ["server-initialize", "ping", "tools-list", "dns-rebinding-protection"],
    "2026-07-28": ["server-stateless", "tools-list", "caching", "http-header-validation", "http-custom-header-server-validation",
                   "dns-rebinding-protection", "server-sse-multiple-streams"],
}


def suite(mode: str, *arguments: str) -> None:
    modules = Path(os.environ["TOOLPLANE_TEST_NODE_MODULES"])
    argv = [str(modules / "node/bin/node"), str(modules / "@modelcontextprotocol/conformance/dist/index.js"), mode, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, env={"PATH": os.environ["PATH"], "NO_COLOR": "1"})
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[max(said.rfind("SUMMARY"), 0):][:8000]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that lets the suite call the tools of its upstream by name, which only debug builds can."""
    folder, port = tmp_path_factory.mktemp("exposed"), free_port()
    url = f"http://{HOST}:{port}/mcp"
    argv = [os.environ["TOOLPLANE_TEST_PYTHON_CURRENT"], str(HERE / "servers/fixture.py"), str(port)]
    with running("fixture", argv, {}, folder, url), gateway(folder, {"fixture": url}, TOOLPLANE_DIRECT_EXPOSURE="true") as served:
        yield served


@pytest.mark.parametrize(("revision", "scenario"), [(revision, s) for revision, scenarios in SCENARIOS.items() for s in scenarios])
def test_a_node_conforms(both: Gateway, revision: str, scenario: str) -> None:
    suite("server", "--url", both.mcp, "--scenario", scenario, "--spec-version", revision,
          "--expected-failures", str(EXPECTED / "node.yml"))


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_server_conforms_through_a_node(exposed: Gateway, revision: str) -> None:
    suite("server", "--url", exposed.mcp, "--suite", "all", "--spec-version", revision,
          "--expected-failures", str(EXPECTED / f"through-{revision}.yml"))


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_client_conforms(revision: str) -> None:
    client = os.environ["TOOLPLANE_CONFORMANCE_CLIENT"]
    assert os.access(client, os.X_OK), f"no {client}: run `cargo build -p toolplane-upstream --example conformance_client`"
    suite("client", "--command", client, "--suite", "all", "--spec-version", revision,
          "--expected-failures", str(EXPECTED / f"client-{revision}.yml"))
