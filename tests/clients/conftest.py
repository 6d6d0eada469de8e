"""The servers every test may use, and the line that sums the run up."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import HERE, HOST, Gateway, free_port, gateway, running

CORPUS = HERE.parent / "corpus" / "livemcp_tools.json"


def pytest_unconfigure(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        count = {kind: len(reporter.stats.get(kind, [])) for kind in ("passed", "failed", "error")}
        print(f"{count['passed']} passed, {count['failed'] + count['error']} failed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the reference server of the MCP project, written in TypeScript; keeps sessions."""
    modules, port = Path(os.environ["TOOLPLANE_TEST_NODE_MODULES"]), free_port()
    argv = [str(modules / "node/bin/node"), str(modules / "@modelcontextprotocol/server-everything/dist/index.js"), "streamableHttp"]
    url = f"http://{HOST}:{port}/mcp"
    with running("everything", argv, {"PORT": str(port)}, tmp_path_factory.mktemp("everything"), url):
        yield url


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a FastMCP server of the handshake revisions."""
    with fastmcp(sys.executable, tmp_path_factory.mktemp("tools")) as url:
        yield url


@pytest.fixture
def growing_tools(tmp_path: Path) -> Iterator[str]:
    """URL of another such server, for a test that changes its tools."""
    with fastmcp(sys.executable, tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def current_tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the same server on the newest FastMCP, which speaks the stateless revision."""
    with fastmcp(os.environ["TOOLPLANE_TEST_PYTHON_CURRENT"], tmp_path_factory.mktemp("current")) as url:
        yield url


@pytest.fixture(scope="session")
def stateless(current_tools: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in front of the server that speaks the stateless revision."""
    with gateway(tmp_path_factory.mktemp("stateless"), {"tools": current_tools}) as served:
        yield served


@contextmanager
def fastmcp(python: str, folder: Path) -> Iterator[str]:
    port = free_port()
    url = f"http://{HOST}:{port}/mcp"
    with running("tools", [python, str(HERE / "servers/tools.py"), str(port)], {}, folder, url):
        yield url


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of the corpus servers: /0/mcp, /1/mcp, …"""
    port = free_port()
    base, folder = f"http://{HOST}:{port}", tmp_path_factory.mktemp("corpus")
    with running("corpus", [sys.executable, str(HERE / "servers/corpus.py"), str(port), str(CORPUS)], {}, folder, base):
        yield base


@pytest.fixture(scope="session")
def both(everything: str, tools: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in front of two servers that nobody here wrote; the tests that share it change nothing."""
    with gateway(tmp_path_factory.mktemp("both"), {"everything": everything, "tools": tools}) as served:
        yield served
