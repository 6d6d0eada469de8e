//! What an upstream says while a call runs, as its caller hears it.

use serde_json::{Value, json};
use toolplane_data_plane::Options;
use toolplane_registry::Protocol;
use toolplane_registry::protocol::Revision;
use toolplane_registry::snapshot::Endpoint;
use toolplane_testkit::fake_upstream::{Era, Fault};
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

use crate::harness::{Answer, Node, PATIENCE, domain_at, executes, inner, snapshot};

fn said(method: &str, params: &str) -> String {
    format!(
        "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{method}\",\"params\":{params}}}\n\n"
    )
}

fn progress(number: u32) -> String {
    said("progress", &format!(r#"{{"progressToken":{{token}},"progress":{number},"total":1e400}}"#))
}

fn log(level: &str) -> String {
    said("message", &format!(r#"{{"level":"{level}","data":"about {level}"}}"#))
}

async fn node_with(upstream: &FakeUpstream, protocol: Protocol) -> Node {
    let control_plane = FakeControlPlane::start().await;
    let endpoint = Endpoint { protocol, ..Endpoint::plain(upstream.url()) };
    control_plane.publish(&snapshot(1, vec![domain_at("echo", endpoint, &["x"])]));
    Node::following(&control_plane, 1, Options::default()).await
}

async fn upstream(era: Era, preamble: &str) -> FakeUpstream {
    FakeUpstream::builder().stateless().era(era).tool("x").sse_preamble(preamble).start().await
}

fn message(meta: &Value) -> String {
    let params = json!({"name": "execute_tool", "arguments": {"tool_name": "x"}, "_meta": meta});
    json!({"jsonrpc": "2.0", "id": "i", "method": "tools/call", "params": params}).to_string()
}

fn stateless(mut meta: Value) -> Value {
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    meta
}

fn events(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.headers["content-type"], "text/event-stream", "{}", answer.body);
    answer.body.split("\n\n").filter_map(|event| event.strip_prefix("event: message\ndata: ")).collect()
}

#[tokio::test]
async fn progress_reaches_the_caller_under_its_own_token_in_order_and_before_the_result() {
    let of_another = said("progress", r#"{"progressToken":"of another","progress":9}"#);
    let preamble = [progress(1), of_another, log("error"), progress(2)].concat();
    for (era, protocol) in [
        (Era::Stateless, Protocol::Stateless),
        (Era::Handshake, Protocol::Handshake { revision: Revision::V2025_06_18, sessions: false }),
    ] {
        let upstream = upstream(era, &preamble).await;
        let node = node_with(&upstream, protocol).await;
        let answer = node.rpc(&message(&json!({"progressToken": "mine"}))).await;
        assert_eq!(answer.headers["x-accel-buffering"], "no");
        assert!(answer.headers["cache-control"].contains("no-cache"));
        let events = events(&answer);
        assert_eq!(events.len(), 3, "{events:?}");
        for (event, number) in events.iter().zip(1..=2) {
            assert!(event.contains(r#""progressToken":"mine""#), "{event}");
            assert!(event.contains(&format!(r#""progress":{number}"#)) && event.contains("1e400"), "{event}");
        }
        let last: Value = serde_json::from_str(events[2]).unwrap();
        assert_eq!((&last["id"], inner(&last["result"])["tool"].as_str()), (&json!("i"), Some("x")));
        let sent = upstream.requests().pop().unwrap().params();
        assert_eq!(sent["_meta"]["progressToken"], "mine", "`_meta` reaches the upstream untouched");
    }
}

#[tokio::test]
async fn log_messages_reach_the_caller_from_the_level_on_that_it_asked_for() {
    let upstream = upstream(Era::Stateless, &[log("debug"), log("warning"), log("error")].concat()).await;
    let node = node_with(&upstream, Protocol::Stateless).await;
    let meta = stateless(json!({"io.modelcontextprotocol/logLevel": "warning"}));
    let answer = node.rpc_with(&message(&meta), &executes("x")).await;
    let events = events(&answer);
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events[0].contains("about warning") && events[1].contains("about error"), "{events:?}");
    assert!(events[2].contains(r#""resultType":"complete""#), "{events:?}");
    let sent = upstream.requests().pop().unwrap().params();
    assert_eq!(sent["_meta"]["io.modelcontextprotocol/logLevel"], "warning");
}

#[tokio::test]
async fn who_did_not_ask_or_cannot_read_events_is_answered_in_json() {
    let upstream = upstream(Era::Stateless, &[progress(1), log("error")].concat()).await;
    let node = node_with(&upstream, Protocol::Stateless).await;
    let token = json!({"progressToken": 1});
    let silent = node.rpc_with(&message(&stateless(json!({}))), &executes("x")).await;
    let blind = node
        .send(
            node.request("POST", "/mcp")
                .header("content-type", "application/json")
                .header("accept", "application/json, */*")
                .body(message(&token)),
        )
        .await;
    upstream.set_sse(false);
    let quiet = node.rpc(&message(&token)).await;
    for answer in [silent, blind, quiet] {
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(inner(&answer.json()["result"])["tool"], "x");
    }
}

#[tokio::test]
async fn events_arrive_while_the_tool_runs_and_hanging_up_ends_it() {
    let upstream = upstream(Era::Stateless, &progress(1)).await;
    upstream.fault("tools/call", Fault::HoldReply);
    let node = node_with(&upstream, Protocol::Stateless).await;
    let request = node
        .request("POST", "/mcp")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(message(&json!({"progressToken": 7})));
    let mut response = request.send().await.unwrap();
    let first = tokio::time::timeout(PATIENCE, response.chunk()).await.unwrap().unwrap().unwrap();
    assert!(std::str::from_utf8(&first).unwrap().contains(r#""progressToken":7"#));
    assert_eq!(node.gate().load().requests, 1, "a call that streams takes a place");
    drop(response);
    let ended = upstream.wait_for_abandoned(1);
    tokio::time::timeout(PATIENCE, ended).await.expect("the upstream sees that nobody waits");
}

#[tokio::test]
async fn a_caller_who_does_not_read_holds_nobody_up() {
    let many: String = (0..20_000).map(progress).collect();
    let upstream = upstream(Era::Stateless, &many).await;
    let node = node_with(&upstream, Protocol::Stateless).await;
    let request = node
        .request("POST", "/mcp")
        .header("content-type", "application/json")
        .header("accept", "text/event-stream")
        .body(message(&json!({"progressToken": 7})));
    // Its head is read and nothing else, while the node serves others and reads its upstream to the end.
    let response = request.send().await.unwrap();
    assert_eq!(inner(&node.rpc(&message(&json!({}))).await.json()["result"])["tool"], "x");
    let body = tokio::time::timeout(PATIENCE, response.text()).await.unwrap().unwrap();
    let numbers: Vec<u64> = body
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("event: message\ndata: "))
        .filter_map(|event| event.split(r#""progress":"#).nth(1)?.split([',', '}']).next()?.parse().ok())
        .collect();
    assert!(numbers.is_sorted() && numbers.last() == Some(&19_999), "the newest are kept, in order");
    assert!(body.ends_with("}}\n\n") && body.contains(r#""id":"i""#));
}
