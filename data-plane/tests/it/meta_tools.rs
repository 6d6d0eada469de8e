//! The meta-tools end to end.

use std::time::Duration;

use serde_json::json;
use toolplane_data_plane::Options;
use toolplane_data_plane::options::{ErrorResults, GuardMode, OutputGuard};
use toolplane_proto::sync::RefreshError;
use toolplane_registry::Secret;
use toolplane_registry::snapshot::Endpoint;
use toolplane_registry::upstream::Header;
use toolplane_testkit::fake_upstream::Fault;
use toolplane_testkit::{FakeControlPlane, FakeUpstream};
use toolplane_upstream::limits::Settings;

use crate::harness::{Node, World, domain, domain_at, executes, inner, snapshot};

#[tokio::test]
async fn tools_are_discovered_and_described() {
    let world = World::start(&["echo_a_x", "echo_b_y"], Options::default()).await;
    let result = world.node.call("discover_tools", "{}").await;
    assert_eq!(
        inner(&result),
        json!({"domains": [{"name": "echo", "description": "", "tool_count": 2, "groups": ["a", "b"]}], "total_tools": 2})
    );
    assert_eq!(result["structuredContent"]["result"], result["content"][0]["text"]);
    assert_eq!(result["isError"], false);
    let schema = world.node.ask("get_tool_schema", r#"{"tool_name":"echo_a_x"}"#).await;
    assert_eq!(schema["parameters"], json!({"type": "object"}));
    let unknown = world.node.call("get_tool_schema", r#"{"tool_name":"echo_a_z"}"#).await;
    assert_eq!(unknown["isError"], true);
    assert_eq!(
        inner(&unknown)["details"],
        json!({"tool_name": "echo_a_z", "suggestions": ["echo_a_x", "echo_b_y"]})
    );
}

#[tokio::test]
async fn a_tool_runs_and_its_text_comes_back_in_the_envelope() {
    let world = World::start(&["say"], Options::default()).await;
    let body = world.node.call_raw("execute_tool", r#"{"tool_name":"echo_say","arguments":{"a":1}}"#).await;
    assert!(body.contains(r#""text":"{\"tool\": \"say\", \"result\": "#), "{body}");
    assert_eq!(world.upstream.count("tools/call"), 1);
}

#[tokio::test]
async fn numbers_and_blocks_beyond_our_types_survive_both_ways_in_both_eras() {
    let world = World::start(&["odd"], Options::default()).await;
    let block = r#"{"type":"hologram","voxels":1e400,"z":{"b":1,"a":123456789012345678901234567890}}"#;
    world.upstream.set_result(
        "odd",
        &format!(
            r#"{{"content":[{{"type":"text","text":"t"}},{block}],"structuredContent":[1e400],"_meta":{{"k":1e999}}}}"#
        ),
    );
    let arguments = r#"{"n":1e400,"big":123456789012345678901234567890}"#;
    let params =
        format!(r#""name":"execute_tool","arguments":{{"tool_name":"odd","arguments":{arguments}}}"#);
    let legacy = format!(
        r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{{{params},"_meta":{{"m":1e400}}}}}}"#
    );
    let modern = format!(
        r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{{{params},"_meta":{{"m":1e400,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let modern_headers = executes("odd");
    for (message, headers) in [(&legacy, &[][..]), (&modern, &modern_headers[..])] {
        world.upstream.clear();
        let answer = world.node.rpc_with(message, headers).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains(block), "{}", answer.body);
        assert!(answer.body.contains(r#""structuredContent":[1e400]"#), "{}", answer.body);
        assert!(answer.body.contains(r#""_meta":{"k":1e999}"#), "{}", answer.body);
        assert!(answer.body.contains(r#""id":"x""#), "{}", answer.body);
        assert_eq!(answer.body.contains(r#""resultType":"complete""#), !headers.is_empty());
        let call = world.upstream.requests().into_iter().find(|r| r.method == "tools/call").unwrap();
        assert!(call.params.contains(&format!(r#""arguments":{arguments}"#)), "{}", call.params);
        assert!(call.params.contains(r#""_meta":{"m":1e400}"#), "{}", call.params);
    }
}

#[tokio::test]
async fn arguments_are_refused_before_anything_is_sent() {
    let upstream = FakeUpstream::builder().stateless().tool("plain").start().await;
    let control_plane = FakeControlPlane::start().await;
    let strict =
        toolplane_registry::test_util::a_domain("echo", vec![toolplane_registry::test_util::a_tool("plain")]);
    control_plane.publish(&snapshot(1, vec![strict]));
    let node = Node::following(&control_plane, 1, Options::default()).await;
    let refused = node.ask("execute_tool", r#"{"tool_name":"plain","arguments":{"bogus":1}}"#).await;
    assert_eq!(refused["code"], "invalid_arguments");
    assert_eq!(
        refused["details"],
        json!({"tool": "plain", "domain": "echo", "signature": "plain() -> any\n  Does plain."})
    );
    for slip in [r#"{"tool_name":"plain","args":{}}"#, r#"{"arguments":{}}"#, r#"{"tool_name":5}"#] {
        assert_eq!(node.call("execute_tool", slip).await["isError"], true);
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn headers_of_domain_and_caller_reach_the_upstream_by_the_rules() {
    let upstream = FakeUpstream::builder().stateless().tool("x").start().await;
    let control_plane = FakeControlPlane::start().await;
    let endpoint = Endpoint {
        headers: vec![Header {
            name: "authorization".to_owned(),
            value: Secret::new("Bearer own".to_owned()),
        }],
        forward_headers: Some(vec!["x-allowed".to_owned(), "authorization".to_owned()]),
        ..Endpoint::plain(upstream.url())
    };
    control_plane.publish(&snapshot(1, vec![domain_at("echo", endpoint, &["x"])]));
    let node = Node::following(&control_plane, 1, Options::default()).await;
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_tool","arguments":{"tool_name":"x"}}}"#;
    let headers = [("authorization", "Bearer caller"), ("x-allowed", "yes"), ("x-other", "no")];
    assert_eq!(node.rpc_with(message, &headers).await.status, 200);
    let call = upstream.requests().into_iter().find(|r| r.method == "tools/call").unwrap();
    assert_eq!(call.header("authorization"), Some("Bearer own"));
    assert_eq!(call.header("x-allowed"), Some("yes"));
    assert_eq!(call.header("x-other"), None);
}

#[tokio::test]
async fn failures_have_codes_and_plain_mode_keeps_them_ordinary() {
    let options = || {
        let timeout = Duration::from_millis(300);
        Options { upstream_limits: Settings { timeout, ..Settings::default() }, ..Options::default() }
    };
    let world = World::start(&["x"], options()).await;
    let call = r#"{"tool_name":"x"}"#;
    world.upstream.set_result(
        "x",
        r#"{"isError":true,"content":[{"type":"text","text":"boom"},{"type":"image","data":"","mimeType":"i/p"}],"structuredContent":{"why":1}}"#,
    );
    let reported = world.node.call("execute_tool", call).await;
    assert_eq!(
        inner(&reported),
        json!({"error": "boom", "code": "upstream_error", "details": {"tool": "x"}})
    );
    assert_eq!(reported["isError"], true);
    assert_eq!(reported["content"][1]["type"], "image");
    assert_eq!(reported["structuredContent"], json!({"why": 1}));

    world.upstream.fault("tools/call", Fault::Status(500));
    let failed = world.node.ask("execute_tool", call).await;
    assert_eq!(failed["code"], "execution_error");
    assert_eq!(failed["details"], json!({"tool": "x", "domain": "echo"}));
    world.upstream.fault("tools/call", Fault::Hang);
    assert_eq!(world.node.ask("execute_tool", call).await["code"], "upstream_timeout");
    world.upstream.release();

    let plain = Options { error_results: ErrorResults::Plain, ..options() };
    let node = Node::following(&world.control_plane, 1, plain).await;
    let unknown = node.call("execute_tool", r#"{"tool_name":"nope"}"#).await;
    assert_eq!((&unknown["isError"], &inner(&unknown)["code"]), (&json!(false), &json!("tool_not_found")));
    assert_eq!(node.call("execute_tool", "{}").await["isError"], true, "a slip stays an error");
}

#[tokio::test]
async fn the_guard_keeps_markup_from_the_model() {
    let guard = OutputGuard { mode: GuardMode::Strip, ..OutputGuard::default() };
    let world = World::start(&["x"], Options { output_guard: guard, ..Options::default() }).await;
    world.upstream.set_result("x", r#"{"content":[{"type":"text","text":"a <system>b</system>"}]}"#);
    let envelope = world.node.ask("execute_tool", r#"{"tool_name":"x"}"#).await;
    assert_eq!(envelope["_output_guard"], json!({"mode": "strip", "modified": true}));
    let guard = OutputGuard { mode: GuardMode::Reject, ..OutputGuard::default() };
    let options = Options { output_guard: guard, ..Options::default() };
    let node = Node::following(&world.control_plane, 1, options).await;
    let body = node.call_raw("execute_tool", r#"{"tool_name":"x"}"#).await;
    assert!(body.contains("output_guard_reject") && !body.contains("system"), "{body}");
}

#[tokio::test]
async fn a_refresh_reports_what_changed_once_this_node_serves_it() {
    let world = World::start(&["x"], Options::default()).await;
    world.control_plane.on_change(snapshot(
        2,
        vec![domain("echo", &world.upstream, &["x", "y"]), domain("late", &world.upstream, &[])],
    ));
    world
        .control_plane
        .refresh_errors(vec![RefreshError { domain: "late".to_owned(), error: "away".to_owned() }]);
    let report = world.node.ask("refresh_registry", "{}").await;
    assert_eq!(
        report,
        json!({
            "refreshed": [{"domain": "echo", "added": ["y"], "removed": [], "tool_count": 2}],
            "errors": [{"domain": "late", "error": "away"}],
        })
    );
    for _ in 0..10 {
        assert!(world.node.ask("refresh_registry", "{}").await.get("refreshed").is_some());
    }
}

#[tokio::test]
async fn refreshes_at_the_same_time_all_get_the_answer() {
    let world = World::start(&["x"], Options::default()).await;
    world.control_plane.set_answering(false);
    let release = async {
        world.control_plane.wait_for_calls("refresh", 1).await;
        world.control_plane.set_answering(true);
    };
    let ask = || world.node.ask("refresh_registry", "{}");
    let (a, b, c, ()) = tokio::join!(ask(), ask(), ask(), release);
    assert!(a == b && b == c && a.get("refreshed").is_some());
}

#[tokio::test]
async fn without_a_control_plane_refreshing_fails_and_everything_else_works() {
    let world = World::start(&["x"], Options::default()).await;
    world.control_plane.stop().await;
    assert_eq!(world.node.ask("refresh_registry", "{}").await["code"], "refresh_error");
    assert_eq!(world.node.ask("execute_tool", r#"{"tool_name":"x"}"#).await["tool"], "x");
}
