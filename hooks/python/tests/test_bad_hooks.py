"""Hooks that do what they must not do: the call gets a status, the log gets the rest, the process goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
import pytest

from support import TOOL, Runner, hooks
from toolplane_hooks import wire

CODE = grpc.StatusCode


def status(raised: pytest.ExceptionInfo[grpc.RpcError]) -> tuple[grpc.StatusCode, str | None]:
    return raised.value.code(), raised.value.details()


@pytest.fixture(scope="module")
def garbage(tmp_path_factory: pytest.TempPathFactory) -> object:
    with hooks(tmp_path_factory.mktemp("garbage"), "garbage") as runner:
        yield runner


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("set", "a before_execute hook left arguments that are no JSON: set is no JSON"),
        ("nan", "a before_execute hook left arguments that are no JSON: nan is no JSON"),
        ("cycle", "a before_execute hook left arguments that are no JSON: nested too deeply, or holds itself"),
        ("key", "a before_execute hook left arguments that are no JSON: int is no key of a JSON object"),
        ("list", "a before_execute hook left list as arguments, not a dict"),
        ("header", "a before_execute hook left an extra header that is not text"),
        ("headers", "a before_execute hook left list as extra_headers, not a dict"),
    ],
)
def test_garbage_before_an_execution(garbage: Runner, kind: str, details: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        garbage.before(garbage.message(f"b-{kind}", headers={"x-garbage": kind}))
    assert status(raised) == (CODE.INTERNAL, details)


def test_half_a_character_is_escaped(garbage: Runner) -> None:
    answer = garbage.before(garbage.message("surrogate", headers={"x-garbage": "surrogate"}))
    assert answer.arguments == '{"x":"\\ud800"}'


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("none", "a transform_result hook returned no result: NoneType is no result"),
        ("number", "a transform_result hook returned no result: int is no result"),
        ("content", "a transform_result hook returned no result: content is str, no list of blocks"),
        ("block", "a transform_result hook returned no result: int is no block of content"),
        ("structured", "a transform_result hook returned no result: structured_content is no object"),
    ],
)
def test_garbage_instead_of_a_result(garbage: Runner, kind: str, details: str) -> None:
    call = garbage.message(f"t-{kind}", headers={"x-garbage": kind})
    garbage.before(call)
    with pytest.raises(grpc.RpcError) as raised:
        garbage.transform(call, '{"content":[]}')
    assert status(raised) == (CODE.INTERNAL, details)


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("none", "after_execute of Garbage returned NoneType, not text"),
        ("dict", "after_execute of Garbage returned dict, not text"),
    ],
)
def test_garbage_instead_of_a_text(garbage: Runner, kind: str, details: str) -> None:
    call = garbage.message(f"a-{kind}", headers={"x-garbage": kind})
    garbage.before(call)
    with pytest.raises(grpc.RpcError) as raised:
        garbage.after(call, "x")
    assert status(raised) == (CODE.INTERNAL, details)


def test_text_that_cannot_travel_fails(garbage: Runner) -> None:
    call = garbage.message("a-surrogate", headers={"x-garbage": "surrogate"})
    with pytest.raises(grpc.RpcError) as raised:
        garbage.before(call)
        garbage.after(call, "x", arguments='{"x":"\\ud800"}')
    assert raised.value.code() is CODE.INTERNAL


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("none", "after_list_tools of Garbage returned NoneType, not a list of tools"),
        ("text", "after_list_tools of Garbage returned str, not a list of tools"),
        ("unknown", "an after_list_tools hook returned ToolEntry that is none of the tools it got"),
        ("strings", "an after_list_tools hook returned str that is none of the tools it got"),
        ("denied", "after_list_tools of Garbage raised ExecutionDenied, which only executions can answer"),
    ],
)
def test_garbage_instead_of_tools(garbage: Runner, kind: str, details: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        garbage.visible(garbage.message(f"l-{kind}", headers={"x-garbage": kind}), ["a", "b"])
    assert status(raised) == (CODE.INTERNAL, details)


def test_repeated_tools_are_one(garbage: Runner) -> None:
    assert garbage.visible(garbage.message("twice", headers={"x-garbage": "twice"}), ["a", "b"]) == [0, 1]


def test_broken_requests_are_refused(garbage: Runner) -> None:
    for number, arguments in enumerate(["[1]", "{", "nul", "[" * 100_000]):
        with pytest.raises(grpc.RpcError) as raised:
            garbage.before(garbage.message(f"broken-{number}"), arguments)
        assert raised.value.code() is CODE.INVALID_ARGUMENT


def test_hook_may_raise_anything(tmp_path: Path) -> None:
    with hooks(tmp_path, "secretive") as runner:
        call = runner.message(headers={"authorization": "s3cret"})
        with pytest.raises(grpc.RpcError) as raised:
            runner.before(call)
        assert status(raised) == (CODE.INTERNAL, "before_execute of Secretive raised ValueError")
        error = wire.ReportErrorRequest(call=call, tool=TOOL, error="gone", code="upstream_timeout", arguments="{}")
        assert runner.call("ReportError", error) == wire.ReportErrorResponse()
        log = runner.log()
    assert "on_error saw RuntimeError gone upstream_timeout echo" in log
    assert "ValueError: token s3cret is bad" in log
    assert "on_error of Secretive raised RuntimeError" in log


@pytest.mark.parametrize(
    ("factory", "details"),
    [
        ("exits", "before_execute of Exits raised SystemExit"),
        ("plain_stop", "before_execute of PlainStop raised RuntimeError"),
        ("unusual", "before_execute of RaisesUnusual raised Unusual"),
        pytest.param(
            "cancels",
            "before_execute of Cancels raised CancelledError",
            marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 cannot tell who canceled"),
        ),
    ],
)
def test_hook_cannot_end_the_process(tmp_path: Path, factory: str, details: str) -> None:
    with hooks(tmp_path, factory) as runner:
        for number in range(2):
            with pytest.raises(grpc.RpcError) as raised:
                runner.before(runner.message(f"c{number}"))
            assert status(raised) == (CODE.INTERNAL, details)
        assert runner.process.poll() is None


@pytest.mark.parametrize("phase", ["auth_broken", "before_broken", "after_broken"])
def test_broken_phases_of_the_reference(tmp_path: Path, phase: str) -> None:
    with hooks(tmp_path, phase, "probe_hooks") as runner, pytest.raises(grpc.RpcError) as raised:
        runner.authenticate(runner.message())
        runner.before(runner.message())
        runner.after(runner.message(), "x")
    assert raised.value.code() is CODE.INTERNAL
    assert "crashed" not in (raised.value.details() or "")


def test_any_phase_may_deny(tmp_path: Path) -> None:
    with hooks(tmp_path, "denies") as runner:
        answer = runner.authenticate(runner.message())
        assert (answer.denial.message, answer.denial.code) == ("who are you?", "Not_Known_")
        assert runner.after(runner.message("c2"), "x").denial.code == "withheld"


@pytest.mark.parametrize("factory", ["hangs", "plain_blocks"])
def test_hook_that_never_answers_holds_up_nobody_else(tmp_path: Path, factory: str) -> None:
    with hooks(tmp_path, factory) as runner:
        call = runner.message()
        for number in range(40):
            request = wire.BeforeExecuteRequest(call=runner.message(f"h{number}"), tool=TOOL)
            with pytest.raises(grpc.RpcError) as raised:
                runner.call("BeforeExecute", request, timeout=0.02)
            assert raised.value.code() is CODE.DEADLINE_EXCEEDED
        call = runner.message("h39")
        assert runner.after(call, "x").text in ("x!", "x all the same")
        assert runner.end() == 0
