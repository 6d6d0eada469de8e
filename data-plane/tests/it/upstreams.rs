//! Upstreams of every kind behind a node that was told how they speak.

use toolplane_data_plane::Options;
use toolplane_registry::Protocol;
use toolplane_registry::protocol::Revision;
use toolplane_registry::snapshot::Endpoint;
use toolplane_testkit::fake_upstream::Era;
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

use crate::harness::{Node, domain_at, snapshot};

const CALL: &str = r#"{"tool_name":"x"}"#;

async fn node_with(upstream: &FakeUpstream, protocol: Protocol) -> Node {
    let control_plane = FakeControlPlane::start().await;
    let endpoint = Endpoint { protocol, ..Endpoint::plain(upstream.url()) };
    control_plane.publish(&snapshot(1, vec![domain_at("echo", endpoint, &["x"])]));
    Node::following(&control_plane, 1, Options::default()).await
}

fn handshake(sessions: bool) -> Protocol {
    Protocol::Handshake { revision: Revision::V2025_06_18, sessions }
}

#[tokio::test]
async fn a_node_that_was_told_makes_one_request_per_call() {
    for (era, protocol) in [(Era::Stateless, Protocol::Stateless), (Era::Handshake, handshake(false))] {
        let upstream = FakeUpstream::builder().stateless().era(era).tool("x").start().await;
        let node = node_with(&upstream, protocol).await;
        for _ in 0..3 {
            node.ask("execute_tool", CALL).await;
        }
        assert_eq!(upstream.methods(), ["tools/call"; 3], "{protocol}");
    }
}

#[tokio::test]
async fn what_nobody_here_knows_of_a_result_reaches_the_caller_to_the_letter() {
    let upstream = FakeUpstream::builder().tool("x").era(Era::Stateless);
    let result = r#"{"resultType":"complete","content":["odd",{"type":"v/new","n":1e400}],"vendor":[12345678901234567890123],"structuredContent":null}"#;
    let upstream = upstream.result("x", result).start().await;
    let node = node_with(&upstream, Protocol::Stateless).await;
    let text = node.call_raw("execute_tool", CALL).await;
    for part in [
        r#""odd",{"type":"v/new","n":1e400}"#,
        r#""vendor":[12345678901234567890123]"#,
        r#""structuredContent":null"#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_tool_that_wants_more_input_is_an_error_that_says_so() {
    let result = r#"{"resultType":"input_required","inputRequests":{},"requestState":"s"}"#;
    let upstream = FakeUpstream::builder().result("x", result).era(Era::Stateless).start().await;
    let node = node_with(&upstream, Protocol::Stateless).await;
    assert_eq!(node.ask("execute_tool", CALL).await["code"], "execution_error");
}

#[tokio::test]
async fn a_stopping_node_leaves_no_session_behind() {
    let upstream = FakeUpstream::builder().tool("x").start().await;
    let node = node_with(&upstream, handshake(true)).await;
    node.ask("execute_tool", CALL).await;
    upstream.wait_for("notifications/initialized", 2).await;
    node.stop().await;
    assert_eq!(upstream.open_sessions(), 0);
}
