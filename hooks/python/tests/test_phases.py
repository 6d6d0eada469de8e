"""Each phase of the hook modules that the parity vectors use, over a socket, and what hooks may change."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest

from support import TOOL, Runner, hooks, running
from toolplane_hooks import wire


def seen(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_recorder_sees_every_phase_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with hooks(tmp_path, "two_recorders", "probe_hooks", PROBE_HOOK_LOG=str(log)) as runner:
        described = runner.call("Describe", wire.DescribeRequest(node_build="test"))
        assert list(described.phases) == [
            wire.PHASE_AUTHENTICATE,
            wire.PHASE_FILTER_TOOLS,
            wire.PHASE_BEFORE_EXECUTE,
            wire.PHASE_AFTER_EXECUTE,
            wire.PHASE_REPORT_ERROR,
        ]
        assert runner.ready["phases"] == [
            "authenticate",
            "filter_tools",
            "before_execute",
            "after_execute",
            "report_error",
        ]
        assert described.wants_end_call
        assert described.name.startswith("probe_hooks:two_recorders ")
        call = runner.message(headers={"x-custom": "c"}, session="run-1")
        assert runner.authenticate(call).WhichOneof("outcome") is None
        assert runner.visible(call, ["b", "a"], domain="echo") == [0, 1]
        tool = wire.Tool(name="apollo_search", domain="apollo", group="general", original_name="search")
        request = wire.BeforeExecuteRequest(call=call, tool=tool, arguments='{"q":"x"}')
        assert runner.call("BeforeExecute", request) == wire.BeforeExecuteResponse()
        assert runner.after(call, "text", arguments='{"q":"x"}') == wire.AfterExecuteResponse()
        error = wire.ReportErrorRequest(call=call, tool=tool, error="refused", code="upstream_error")
        runner.call("ReportError", error)
        error.is_from_upstream = True
        runner.call("ReportError", error)
    events = [event for event in seen(log) if event["tag"] == "first"]
    assert [event["event"] for event in events] == [
        "on_authenticate",
        "after_list_tools",
        "before_execute",
        "after_execute",
        "on_error",
        "on_error",
    ]
    assert events[0]["headers"] == {"x-custom": "c"}
    assert events[1] == {
        "event": "after_list_tools",
        "tag": "first",
        "tools": ["b", "a"],
        "domain": "echo",
        "user": "None",
    }
    assert events[2] == {
        "event": "before_execute",
        "tag": "first",
        "tool": "apollo_search",
        "domain": "apollo",
        "group": "general",
        "original": "search",
        "arguments": {"q": "x"},
        "user": "None",
        "headers": {"x-custom": "c"},
        "extra_headers": {},
        "meta_keys": ["code_session_id"],
    }
    assert events[3]["result"] == "text"
    assert [event["error_type"] for event in events[4:]] == ["RuntimeError", "McpError"]
    assert [event["tag"] for event in seen(log)] == ["first", "second"] * 6


def test_last_identity_wins(tmp_path: Path) -> None:
    with hooks(tmp_path, "auth_last_wins", "probe_hooks") as runner:
        answer = runner.authenticate(runner.message(headers={"x-user": "alice"}))
        assert answer.identity.subject == "last"
        assert answer.identity.visibility_key == ""


@pytest.mark.parametrize(("code", "expected"), [("default", "forbidden"), ("quota", "quota")])
def test_denial_carries_its_code(tmp_path: Path, code: str, expected: str) -> None:
    with hooks(tmp_path, "deny", "probe_hooks") as runner:
        assert runner.before(runner.message(headers={"x-deny": code})).denial.code == expected
        assert not runner.before(runner.message("c2")).HasField("denial")


def test_identity_decides(tmp_path: Path) -> None:
    with hooks(tmp_path, "deny_by_user", "probe_hooks") as runner:
        for number, (user, is_denied) in enumerate([("alice", False), ("bob", True)]):
            call = runner.message(f"c{number}", headers={"x-user": user})
            runner.authenticate(call)
            assert runner.before(call).HasField("denial") is is_denied


def test_arguments_are_changed_or_left(tmp_path: Path) -> None:
    with hooks(tmp_path, "mutate", "probe_hooks") as runner:
        assert runner.before(runner.message(), '{"message":"m"}').arguments == '{"message":"changed by hook"}'
        assert runner.before(runner.message(), "").arguments == '{"message":"changed by hook"}'
        unchanged = runner.before(runner.message(), '{ "message" : "changed by hook" }')
        assert not unchanged.HasField("arguments")
        assert not runner.call("Describe", wire.DescribeRequest()).wants_end_call
    with hooks(tmp_path, "replace", "probe_hooks") as runner:
        assert runner.before(runner.message(), '{"a":1}').arguments == '{"message":"replaced by hook"}'


def test_extra_headers_are_those_that_are_new(tmp_path: Path) -> None:
    with hooks(tmp_path, "extra_headers", "probe_hooks") as runner:
        given = [wire.Header(name="X-Static", value="hook-wins"), wire.Header(name="X-Other", value="o")]
        answer = runner.before(runner.message(headers={"x-set-auth": "1"}), extra_headers=given)
        assert [(header.name, header.value) for header in answer.extra_headers] == [
            ("X-From-Hook", "hook-value"),
            ("Authorization", "Bearer from-hook"),
        ]


def test_texts_go_through_all_hooks(tmp_path: Path) -> None:
    with hooks(tmp_path, "transform", "probe_hooks") as runner:
        assert runner.after(runner.message(), "x").text == "B(A(x))"
        assert runner.after(runner.message(), "").text == "B(A())"
    with hooks(tmp_path, "after_denied", "probe_hooks") as runner:
        assert runner.after(runner.message(), "x").denial.code == "withheld"


def test_lists_are_filtered(tmp_path: Path) -> None:
    with hooks(tmp_path, "hide", "probe_hooks") as runner:
        call = runner.message(headers={"x-user": "alice"})
        runner.authenticate(call)
        assert runner.visible(call, ["a", "delete_b", "c"]) == [0, 2]
        assert runner.visible(runner.message("c2"), ["a", "delete_b", "c"]) == []
    with hooks(tmp_path, "hide_all", "probe_hooks") as runner:
        assert runner.visible(runner.message(), ["a"]) == []
    with hooks(tmp_path, "reverse", "probe_hooks") as runner:
        assert runner.visible(runner.message(), ["a", "b"]) == [0, 1]


def test_lists_take_both_orders_of_parameters(tmp_path: Path) -> None:
    with hooks(tmp_path, "both_orders") as runner:
        assert runner.visible(runner.message(), ["a", "b", "c", "d"], domain="echo") == [0, 3]
        assert runner.visible(runner.message(), ["a"], domain="other") == []


def test_results_are_transformed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with hooks(tmp_path, "transform_result", "probe_hooks", PROBE_HOOK_LOG=str(log)) as runner:
        call = runner.message()
        runner.authenticate(call)
        runner.before(call)
        answer = runner.transform(call, '{"content":[ {"type":"text","text":"x"}],"structuredContent":{"a":1e400}}')
        assert answer.result == (
            '{"content":[ {"type":"text","text":"x"}],"structuredContent":{"from_hook":true,"was":{"a":1e400}}}'
        )
    with hooks(tmp_path, "transform_result_denied", "probe_hooks") as runner:
        assert runner.transform(runner.message(), "{}").denial.code == "payload_rejected"


def test_request_meta_and_notes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with hooks(tmp_path, "meta", "probe_hooks", PROBE_HOOK_LOG=str(log)) as runner:
        runner.before(runner.message(request_meta='{"k":{"n":1}}'))
        runner.before(runner.message())
    assert seen(log) == [
        {"event": "request_meta", "meta": {"k": {"n": 1}}},
        {"event": "request_meta_read_only"},
        {"event": "request_meta", "meta": None},
    ]
    log.unlink()
    with hooks(tmp_path, "metadata", "probe_hooks", PROBE_HOOK_LOG=str(log)) as runner:
        answer = runner.before(runner.message(), metadata={"other": "[1]"})
        assert not answer.metadata
    assert seen(log) == [{"event": "metadata", "got": "from first"}]


def test_numbers_beside_a_change_keep_their_text(tmp_path: Path) -> None:
    with hooks(tmp_path, "numbers") as runner:
        call = runner.message()
        arguments = '{"big":123456789012345678901234567890,"e":1e400,"f":1.10,"n":null,"s":"é\\ud800"}'
        assert runner.before(call, arguments).arguments == (
            '{"big":123456789012345678901234567890,"e":1e400,"f":1.10,"n":null,"s":"\\u00e9\\ud800","added":1}'
        )
        result = '{"x":1e400,"content":[{"type":"text","text":"a"},{"type":"image","data":"","mimeType":"a/b"}]}'
        assert runner.transform(call, result).result == result.replace('"a"}', '"a!"}')


def test_looking_changes_nothing(tmp_path: Path) -> None:
    big = '{"content":[{"type":"text","text":"' + "é" * 3_000_000 + '"}],"structuredContent":{"rows":[1.10, 2.0 ]}}'
    with hooks(tmp_path, "looks") as runner:
        call = runner.message()
        assert runner.before(call, '{ "a": 1e400 }') == wire.BeforeExecuteResponse()
        assert runner.transform(call, big, '{ "a": 1e400 }') == wire.TransformResultResponse()
        request = wire.AfterExecuteRequest(call=call, tool=TOOL, text="x", metadata={"theirs": "1"})
        assert runner.call("AfterExecute", request) == wire.AfterExecuteResponse()
        assert "metadata ['theirs'] None" in runner.log()


def test_methods_of_all_kinds_run(tmp_path: Path) -> None:
    with hooks(tmp_path, "plain") as runner:
        call = runner.message()
        assert runner.before(call).arguments == '{"thread":true}'
        assert runner.after(call, "x", is_error=True, arguments='{"thread":true}').text == "X!"
    with hooks(tmp_path, "decorated") as runner:
        assert runner.before(runner.message()).arguments == '{"decorated":true}'
    with hooks(tmp_path, "derived") as runner:
        assert runner.ready["phases"] == ["before_execute"]
        assert runner.before(runner.message()).extra_headers[0].name == "x-derived"


def test_no_hooks_announce_nothing(tmp_path: Path) -> None:
    with hooks(tmp_path, "empty", "probe_hooks") as runner:
        assert runner.ready["phases"] == []
        assert runner.ready["token_provider"] is False


def authorizer(folder: Path, name: str) -> tuple[str, ...]:
    return ("--authorizer", f"sample_hooks:{name}", "--authorizer-prefixes", "sample_hooks")


def may_run_code(runner: Runner, **headers: str) -> bool:
    request = wire.AuthorizeCodeRequest(call=runner.message(headers={"x-code-mode": headers.get("mode", "")}))
    return bool(runner.call("AuthorizeCode", request).is_allowed)


def test_authorizer_decides_who_may_run_code(tmp_path: Path) -> None:
    with running(tmp_path, *authorizer(tmp_path, "allow_by_header")) as runner:
        assert runner.ready["phases"] == ["authorize_code"]
        assert may_run_code(runner, mode="yes")
        assert not may_run_code(runner)
    with running(tmp_path, *authorizer(tmp_path, "allow_plain")) as runner:
        assert may_run_code(runner)
    with running(tmp_path, *authorizer(tmp_path, "deny_code")) as runner:
        assert not may_run_code(runner)


@pytest.mark.parametrize("name", ["token_provider", "async_token_provider"])
def test_every_fetch_asks_the_provider(tmp_path: Path, name: str) -> None:
    arguments = ("--token-provider", f"probe_modules:{name}", "--token-provider-prefixes", "probe_modules")
    with running(tmp_path, *arguments) as runner:
        assert runner.ready["token_provider"] is True
        tokens = [runner.call("FetchToken", wire.FetchTokenRequest(), service="TokenService").token for _ in range(3)]
        assert tokens == ["token-1", "token-2", "token-3"]


def test_provider_that_returns_no_text_fails(tmp_path: Path) -> None:
    arguments = ("--token-provider", "sample_hooks:bad_provider", "--token-provider-prefixes", "sample_hooks")
    with running(tmp_path, *arguments) as runner, pytest.raises(grpc.RpcError) as raised:
        runner.call("FetchToken", wire.FetchTokenRequest(), service="TokenService")
    assert raised.value.details() == "the token provider returned int, not text"
