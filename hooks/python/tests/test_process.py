"""The process around the hooks: how it begins, what it keeps for itself, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest

from support import TIMEOUT, TOOL, Runner, command, environment, hooks
from toolplane_hooks import wire


def test_calls_of_many_callers_do_not_mix(tmp_path: Path) -> None:
    """Every phase of 200 calls under way at once: each sees its own user, whose object cannot leave the process."""
    with hooks(tmp_path, "live") as runner:
        calls = [runner.message(f"c{number}", headers={"x-user": f"u{number}"}) for number in range(200)]

        def all_of(phase: str, requests: list[Any]) -> list[Any]:
            method = runner.method(phase)
            return [pending.result() for pending in [method.future(request, timeout=TIMEOUT) for request in requests]]

        for call, answer in zip(
            calls, all_of("Authenticate", [wire.AuthenticateRequest(call=call) for call in calls]), strict=True
        ):
            call.identity.CopyFrom(answer.identity)
        assert len({call.identity.handle for call in calls}) == 200
        calls.reverse()
        before = all_of("BeforeExecute", [wire.BeforeExecuteRequest(call=call, tool=TOOL) for call in calls])
        transformed = all_of(
            "TransformResult",
            [
                wire.TransformResultRequest(call=call, tool=TOOL, arguments=answer.arguments, result='{"content":[]}')
                for call, answer in zip(calls, before, strict=True)
            ],
        )
        after = all_of(
            "AfterExecute",
            [
                wire.AfterExecuteRequest(call=call, tool=TOOL, arguments=answer.arguments, text="t")
                for call, answer in zip(calls, before, strict=True)
            ],
        )
        for call, first, second, third in zip(calls, before, transformed, after, strict=True):
            user = call.headers[0].value
            assert first.arguments == f'{{"who":"{user}"}}'
            assert second.result == f'{{"content":[],"structuredContent":{{"who":"{user}"}}}}'
            assert third.text == f"t for {user} with {user} in {user}"
            assert call.identity.subject == user


def test_nested_calls_have_the_outer_identity(tmp_path: Path) -> None:
    with hooks(tmp_path, "live") as runner:
        outer = runner.message("outer", headers={"x-user": "alice"})
        runner.authenticate(outer)
        nested = runner.message("nested", headers={"x-user": "alice"}, session="run", identity=outer.identity)
        assert runner.before(nested).arguments == '{"who":"alice"}'
        runner.end_call(nested)
        runner.end_call(outer)
        late = runner.message("late", headers={"x-user": "alice"}, session="run", identity=outer.identity)
        with pytest.raises(grpc.RpcError) as raised:
            runner.before(late)
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_call_that_spans_a_restart_is_refused(tmp_path: Path) -> None:
    with hooks(tmp_path, "live") as runner:
        call = runner.message(headers={"x-user": "alice"})
        runner.authenticate(call)
        runner.before(call)
        runner.process.send_signal(signal.SIGKILL)
        runner.process.wait(TIMEOUT)
        with pytest.raises(grpc.RpcError) as raised:
            runner.transform(call, "{}")
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    with hooks(tmp_path, "live") as runner:
        with pytest.raises(grpc.RpcError) as raised:
            runner.transform(call, "{}")
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        call.instance = runner.ready["instance"]
        with pytest.raises(grpc.RpcError) as raised:
            runner.transform(call, "{}")
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        unknown = runner.message("never begun")
        with pytest.raises(grpc.RpcError) as raised:
            runner.after(unknown, "x")
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_first_line_is_ours(tmp_path: Path) -> None:
    with hooks(tmp_path, "loud") as runner:
        assert runner.ready["ready"] is True
        assert "printed while loading\n" in runner.log()


def test_socket_is_for_its_owner_alone_and_goes_with_the_process(tmp_path: Path) -> None:
    with hooks(tmp_path, "looks") as runner:
        path = tmp_path / "hooks.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert runner.end() == 0
        assert not path.exists()


def test_socket_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "hooks.sock"))
    with hooks(tmp_path, "looks") as runner:
        assert runner.before(runner.message()) == wire.BeforeExecuteResponse()


@pytest.mark.parametrize("kind", ["file", "long", "missing"])
def test_address_that_cannot_be_used_is_a_mistake(tmp_path: Path, kind: str) -> None:
    path = {"file": tmp_path / "file", "long": tmp_path / ("x" * 120), "missing": tmp_path / "no" / "sock"}[kind]
    (tmp_path / "file").write_text("precious")
    done = subprocess.run(
        command("--socket", str(path)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("--socket: ")
    assert (tmp_path / "file").read_text() == "precious"


def test_mistake_ends_the_process_with_its_line(tmp_path: Path) -> None:
    arguments = ("--hook-module", "sample_hooks:fails", "--allowed-prefixes", "sample_hooks")
    done = subprocess.run(
        command("--socket", str(tmp_path / "s"), *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("GATEWAY_HOOK_MODULE: `sample_hooks:fails` failed")


def pending(runner: Runner) -> Any:
    """A call whose hook is running."""
    request = wire.BeforeExecuteRequest(call=runner.message(), tool=TOOL)
    return runner.method("BeforeExecute").future(request, timeout=TIMEOUT)


@pytest.mark.parametrize("way", ["input", "signal"])
@pytest.mark.parametrize("factory", ["looks", "hangs", "plain_blocks", "blocks"])
def test_end_is_certain(tmp_path: Path, way: str, factory: str) -> None:
    """However hooks behave, the process ends soon after its parent went away or asked for it."""
    with hooks(tmp_path, factory) as runner:
        if factory == "looks":
            runner.before(runner.message("done"))
        else:
            answer = pending(runner)
            with pytest.raises(grpc.FutureTimeoutError):
                answer.result(timeout=0.3)
        if way == "signal":
            runner.process.send_signal(signal.SIGTERM)
        else:
            assert runner.process.stdin is not None
            runner.process.stdin.close()
        # Sooner than the hooks, which take a minute.
        assert runner.process.wait(TIMEOUT) == 0


def test_detached_process_outlives_its_input(tmp_path: Path) -> None:
    arguments = ("--socket", str(tmp_path / "s"), "--detached")
    process = subprocess.Popen(
        command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith('{"ready": true')
    with grpc.insecure_channel(f"unix:{tmp_path / 's'}") as channel:
        method = channel.unary_unary(
            f"/{wire.PACKAGE}.HookService/Describe",
            request_serializer=wire.DescribeRequest.SerializeToString,
            response_deserializer=wire.DescribeResponse.FromString,
        )
        assert method(wire.DescribeRequest(), timeout=TIMEOUT).instance
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(TIMEOUT) == 0
