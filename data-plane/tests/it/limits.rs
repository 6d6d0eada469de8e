//! Limits around upstreams, as callers of a node meet them: by counts and events, never by the clock.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use toolplane_data_plane::Options;
use toolplane_registry::snapshot::{DomainSnapshot, Endpoint};
use toolplane_registry::{Limits, RawJson, Tool};
use toolplane_testkit::fake_upstream::{Fault, Recorded};
use toolplane_testkit::{FakeControlPlane, FakeUpstream};
use toolplane_upstream::limits::breaker::Phase;

use crate::harness::{Node, domain, domain_at, inner, snapshot};

pub(crate) const CALL: &str = r#"{"tool_name":"x"}"#;

pub(crate) async fn upstream(tool: &str) -> FakeUpstream {
    FakeUpstream::builder().stateless().tool(tool).start().await
}

fn limited(name: &str, upstream: &FakeUpstream, tool: &str, limits: Limits) -> DomainSnapshot {
    let config_id = format!("{limits:?}");
    domain_at(name, Endpoint { limits, config_id, ..Endpoint::plain(upstream.url()) }, &[tool])
}

pub(crate) async fn node_with(domains: Vec<DomainSnapshot>, options: Options) -> (FakeControlPlane, Node) {
    let control_plane = FakeControlPlane::start().await;
    control_plane.publish(&snapshot(1, domains));
    let node = Node::following(&control_plane, 1, options).await;
    (control_plane, node)
}

pub(crate) fn phase(node: &Node, domain: &str) -> Phase {
    let served = node.live().load();
    served.readings().find(|(name, _)| name.as_str() == domain).unwrap().1.phase
}

#[tokio::test]
async fn an_upstream_that_hangs_holds_its_share_and_no_more() {
    let (slow, fast) = (upstream("slow").await, upstream("fast").await);
    let limits = Limits { max_concurrency: Some(3), max_queue: Some(2), ..Limits::default() };
    let domains = vec![limited("slow", &slow, "slow", limits), domain("fast", &fast, &["fast"])];
    let (_control_plane, node) = node_with(domains, Options::default()).await;
    node.ask("execute_tool", r#"{"tool_name":"slow"}"#).await;
    slow.clear();
    slow.fault("tools/call", Fault::Hang);

    let hanging = join_all((0..12).map(|_| node.ask("execute_tool", r#"{"tool_name":"slow"}"#)));
    let others = async {
        slow.wait_for("tools/call", 3).await;
        let answers = join_all((0..200).map(|_| node.ask("execute_tool", r#"{"tool_name":"fast"}"#))).await;
        assert!(answers.iter().all(|answer| answer["tool"] == "fast"), "{answers:?}");
        assert_eq!(slow.count("tools/call"), 3, "the others wait or were refused");
        slow.clear_faults();
        slow.release();
    };
    let (answers, ()) = tokio::join!(hanging, others);
    let refused: Vec<&Value> = answers.iter().filter(|answer| answer["code"] == "overloaded").collect();
    assert_eq!(refused.len(), 12 - 3 - 2);
    assert_eq!(refused[0]["details"], json!({"tool": "slow", "domain": "slow", "retry_after_seconds": 1}));
    assert_eq!((slow.count("tools/call"), fast.count("tools/call")), (5, 200));
}

#[tokio::test]
async fn a_failing_upstream_is_spared_and_taken_back_by_one_probe() {
    let upstream = upstream("x").await;
    let (_control_plane, node) = node_with(vec![domain("echo", &upstream, &["x"])], Options::default()).await;
    node.ask("execute_tool", CALL).await;
    upstream.fault("tools/call", Fault::Status(500));
    for _ in 0..5 {
        assert_eq!(node.ask("execute_tool", CALL).await["code"], "execution_error");
    }
    let sent = upstream.count("tools/call");
    let spared = node.ask("execute_tool", CALL).await;
    assert_eq!(spared["code"], "upstream_unavailable");
    assert!(spared["error"].as_str().unwrap().contains("status 500"), "{spared}");
    assert!(spared["details"]["retry_after_seconds"].as_u64().unwrap() >= 1, "{spared}");
    assert_eq!(upstream.count("tools/call"), sent, "nothing was sent");

    // The probe hangs, and nobody but it is let through meanwhile.
    upstream.clear();
    upstream.fault_once("tools/call", Fault::Hang);
    let probe = async {
        loop {
            let answer = node.ask("execute_tool", CALL).await;
            if answer["code"] != "upstream_unavailable" {
                return answer;
            }
        }
    };
    let meanwhile = async {
        upstream.wait_for("tools/call", 1).await;
        let others = join_all((0..20).map(|_| node.ask("execute_tool", CALL))).await;
        assert!(others.iter().all(|answer| answer["code"] == "upstream_unavailable"), "{others:?}");
        assert!(matches!(phase(&node, "echo"), Phase::HalfOpen { .. }));
        assert_eq!(upstream.count("tools/call"), 1);
        upstream.release();
    };
    let (probed, ()) = tokio::join!(probe, meanwhile);
    assert_eq!(probed["tool"], "x");
    assert!(matches!(phase(&node, "echo"), Phase::Closed { .. }));
    assert_eq!(node.ask("execute_tool", CALL).await["tool"], "x");
}

#[tokio::test]
async fn answers_are_no_ill_health_whatever_they_say() {
    let upstream = upstream("x").await;
    let (_control_plane, node) = node_with(vec![domain("echo", &upstream, &["x"])], Options::default()).await;
    for fault in [
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(429),
        Fault::RpcError(-32603, "broken".to_owned()),
        Fault::Body(400, String::new()),
    ] {
        upstream.fault("tools/call", fault);
        for _ in 0..30 {
            assert_eq!(node.ask("execute_tool", CALL).await["code"], "execution_error");
        }
    }
    upstream.clear_faults();
    upstream.set_result("x", r#"{"isError":true,"content":[{"type":"text","text":"no"}]}"#);
    for _ in 0..30 {
        assert_eq!(node.ask("execute_tool", CALL).await["code"], "upstream_error");
    }
    assert!(matches!(phase(&node, "echo"), Phase::Closed { failures: 0, .. }));
}

#[tokio::test]
async fn a_call_that_may_have_run_is_sent_once_unless_its_tool_is_harmless() {
    let upstream = upstream("x").await;
    for (annotations, expected) in [(None, 1), (Some(r#"{"readOnlyHint":true}"#), 3)] {
        let plain = domain("echo", &upstream, &["x"]);
        let annotations = annotations.map(|text| RawJson::parse(text).unwrap());
        let tool = Tool { annotations, ..plain.tools()[0].as_ref().clone() };
        let (name, endpoint) = (plain.domain().clone(), plain.endpoint().clone());
        let domain = DomainSnapshot::new(name, String::new(), endpoint, vec![tool.into()]);
        let (_control_plane, node) = node_with(vec![domain], Options::default()).await;
        node.ask("execute_tool", CALL).await;
        upstream.clear();
        upstream.fault("tools/call", Fault::Truncate);
        let failed = node.ask("execute_tool", r#"{"tool_name":"x","arguments":{"id":7}}"#).await;
        assert_eq!(failed["code"], "execution_error");
        let sent: Vec<Value> =
            upstream.requests().iter().filter(|r| r.method == "tools/call").map(Recorded::params).collect();
        assert_eq!(sent.len(), expected, "{sent:?}");
        assert!(sent.iter().all(|params| params["arguments"] == json!({"id": 7})), "{sent:?}");
        upstream.clear_faults();
    }
}

#[tokio::test]
async fn silence_is_bounded_where_the_upstream_says_so_and_changes_reach_a_running_node() {
    let upstream = upstream("x").await;
    let (control_plane, node) = node_with(vec![domain("echo", &upstream, &["x"])], Options::default()).await;
    node.ask("execute_tool", CALL).await;
    let limits = Limits { first_byte_timeout: Some(Duration::from_millis(50)), ..Limits::default() };
    control_plane.publish(&snapshot(2, vec![limited("echo", &upstream, "x", limits)]));
    assert!(
        node.live().wait_for(&toolplane_registry::Version::new("store", 2), crate::harness::PATIENCE).await
    );
    upstream.fault("tools/call", Fault::Hang);
    assert_eq!(node.ask("execute_tool", CALL).await["code"], "upstream_timeout");
    let served = node.live().load();
    let (_, reading) = served.readings().next().unwrap();
    assert_eq!((reading.attempts, reading.timeouts, reading.failures), (2, 1, 1), "the counts go on");
}

#[tokio::test]
async fn the_callers_remaining_time_bounds_the_call_and_is_passed_on() {
    const HEADER: &str = "x-envoy-expected-rq-timeout-ms";
    let upstream = upstream("x").await;
    let (_control_plane, node) = node_with(vec![domain("echo", &upstream, &["x"])], Options::default()).await;
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_tool","arguments":{"tool_name":"x"}}}"#;
    node.rpc_with(message, &[(HEADER, "20000")]).await;
    let call = upstream.requests().into_iter().find(|r| r.method == "tools/call").unwrap();
    let told: u64 = call.header(HEADER).unwrap().parse().unwrap();
    assert!((1..=20_000).contains(&told), "{told}");
    upstream.fault("tools/call", Fault::Hang);
    let answer = node.rpc_with(message, &[(HEADER, "500")]).await.json();
    assert_eq!(inner(&answer["result"])["code"], "upstream_timeout");
    upstream.clear_faults();
    upstream.clear();
    node.ask("execute_tool", CALL).await;
    let call = upstream.requests().into_iter().find(|r| r.method == "tools/call").unwrap();
    assert_eq!(call.header(HEADER), None, "nothing is made up");
}
