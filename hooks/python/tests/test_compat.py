"""The reference's names, with and without its package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support import SRC, environment, hooks

EVERY_NAME = """
from toolplane_hooks import compat
compat.install()
compat.install()
import fastmcp_gateway
from fastmcp_gateway import *
from fastmcp_gateway import AccessPolicy, GatewayServer, GatewayError
from fastmcp_gateway import OutputGuardConfig, OutputGuardError, OutputGuardHook
from fastmcp_gateway.hooks import ExecutionContext as Context, ExecutionDenied, Hook, HookRunner, ListToolsContext
from fastmcp_gateway.registry import ToolEntry
from fastmcp_gateway.errors import GatewayError as Error, OutputGuardError
from fastmcp_gateway.client_manager import get_user_headers
from fastmcp_gateway.access_policy import AccessPolicy
from fastmcp_gateway.gateway import GatewayServer
from fastmcp_gateway.output_guard import OutputGuardConfig, OutputGuardHook
assert Context is ExecutionContext and Error is GatewayError
assert set(fastmcp_gateway.__all__) == {
    "AccessPolicy", "ExecutionContext", "ExecutionDenied", "GatewayError", "GatewayServer", "Hook", "HookRunner",
    "ListToolsContext", "OutputGuardConfig", "OutputGuardError", "OutputGuardHook", "get_user_headers",
}
assert GatewayError(error="a", code="b").model_dump() == {"error": "a", "code": "b", "details": None}
assert get_user_headers() == get_user_headers(include_all=True) == {}
denied = ExecutionDenied("no", code="x")
assert (str(denied), denied.message, denied.code, ExecutionDenied("no").code) == ("no", "no", "x", "forbidden")
tool = ToolEntry(name="a", domain="b", group="g", description="d", input_schema={"type": "object"}, upstream_url="")
context = Context(tool=tool, arguments={}, headers={})
assert (context.user, context.extra_headers, context.metadata, context.request_meta) == (None, {}, {}, None)
assert tool.model_copy(update={"name": "c"}).name == "c" and tool.original_name is None and tool == tool.model_copy()
assert tool.input_schema == {"type": "object"} and tool.input_schema is tool.input_schema
assert tool.model_copy(update={"required_scope": "s"}).required_scope == "s" and tool.upstream_url == ""
try:
    tool.name = "other"
except AttributeError:
    pass
else:
    raise AssertionError("a tool can be changed")
assert ListToolsContext(domain=None, headers={}).user is None
try:
    OutputGuardHook()
except RuntimeError as error:
    assert "GATEWAY_OUTPUT_GUARD" in str(error)
try:
    import fastmcp_gateway.code_mode
except ModuleNotFoundError:
    print("done")
"""


def test_every_name_is_offered() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EVERY_NAME], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


INSTALLED = '''
class ExecutionDenied(Exception):
    def __init__(self, message, *, code="forbidden"):
        super().__init__(message)
        self.message, self.code = message, code
class ExecutionContext:
    """As of a release without request_meta."""
    def __init__(self, tool, arguments, headers, user=None, extra_headers=None, metadata=None):
        self.tool, self.arguments, self.headers, self.user = tool, arguments, headers, user
        self.extra_headers, self.metadata = extra_headers or {}, metadata or {}
'''

CLIENT_MANAGER = """
get_http_headers = lambda include_all=False: {}
def get_user_headers(*, include_all=False):
    return get_http_headers(include_all=include_all)
"""

MCP_TYPES = """
class TextContent:
    def __init__(self, type, text, **extra):
        self.type, self.text, self.extra = type, text, extra
    @classmethod
    def model_validate(cls, value):
        if not isinstance(value["text"], str):
            raise ValueError("no text")
        return cls(**value)
    def model_dump(self, **_):
        return {"type": self.type, "text": self.text, **self.extra}
"""

USES_INSTALLED = """
import fastmcp_gateway
from fastmcp_gateway import ExecutionDenied
from fastmcp_gateway.client_manager import get_user_headers
from fastmcp_gateway.hooks import ExecutionContext
from mcp.types import TextContent
class Refused(ExecutionDenied):
    pass
class Checks:
    async def before_execute(self, context):
        assert isinstance(context, ExecutionContext)
        assert fastmcp_gateway.MARK
        assert context.request_meta is None
        if get_user_headers().get("x-user") != "alice":
            raise Refused("theirs", code="their_code")
    async def transform_result(self, context, result):
        kinds = [isinstance(block, TextContent) for block in result.content]
        assert kinds == [True, False, True], kinds
        result.content[2].text = "changed"
        result.content.append(TextContent("text", "added"))
        return result
def factory():
    return [Checks()]
"""


def test_installed_package_wins(tmp_path: Path) -> None:
    package = tmp_path / "path" / "fastmcp_gateway"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from fastmcp_gateway.hooks import *\nMARK = True\n")
    (package / "hooks.py").write_text(INSTALLED)
    (package / "client_manager.py").write_text(CLIENT_MANAGER)
    (package.parent / "mcp").mkdir()
    (package.parent / "mcp" / "__init__.py").touch()
    (package.parent / "mcp" / "types.py").write_text(MCP_TYPES)
    (package.parent / "uses_installed.py").write_text(USES_INSTALLED)
    with hooks(tmp_path, "factory", "uses_installed", PYTHONPATH=f"{package.parent}:{SRC}") as runner:
        answer = runner.before(runner.message())
        assert (answer.denial.message, answer.denial.code) == ("theirs", "their_code")
        call = runner.message("c2", headers={"x-user": "alice"})
        assert not runner.before(call).HasField("denial")
        first = '{ "type":"text", "text":"a", "n":1e400}, {"type":"text", "text": 1}'
        assert runner.transform(call, '{"content":[' + first + ',{"type":"text","text":"b"}]}').result == (
            '{"content":['
            + first.replace("}, {", "},{")
            + ',{"type":"text","text":"changed"},{"type":"text","text":"added"}]}'
        )


HOOK_RUNNER = """
import asyncio
from toolplane_hooks import HookRunner
class A:
    async def on_authenticate(self, headers): return headers.get("u")
    async def before_execute(self, context): context.append(1)
    async def transform_result(self, context, result): return result + 1
    async def after_execute(self, context, result, is_error): return result + "!"
    async def after_list_tools(self, tools, context): return tools[1:]
    async def on_error(self, context, error): raise error
async def main():
    runner = HookRunner([A()])
    runner.add(A())
    assert runner.has_hooks and not HookRunner().has_hooks
    assert await runner.run_authenticate({"u": 1}) == 1
    seen = []
    await runner.run_before_execute(seen)
    assert seen == [1, 1]
    assert await runner.run_transform_result(None, 0) == 2
    assert await runner.run_after_execute(None, "a", False) == "a!!"
    assert await runner.run_after_list_tools([1, 2, 3], None) == [3]
    await runner.run_on_error(None, ValueError())
    print("done")
asyncio.run(main())
"""


def test_hook_runner_is_for_tests_of_modules() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOOK_RUNNER], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout == "done\n", done.stderr


@pytest.mark.parametrize("way", ["folder", "zip"])
def test_sources_alone_are_enough(tmp_path: Path, way: str) -> None:
    """A node carries them along and runs them where the package is not installed."""
    import shutil  # noqa: PLC0415

    target = tmp_path / "carried"
    shutil.copytree(SRC / "toolplane_hooks", target / "toolplane_hooks", ignore=shutil.ignore_patterns("__pycache__"))
    path = str(target) if way == "folder" else shutil.make_archive(str(tmp_path / "carried"), "zip", target)
    done = subprocess.run(
        [sys.executable, "-m", "toolplane_hooks", "--check"],
        env={**environment(), "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
