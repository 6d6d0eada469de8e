//! Limits, as callers of a node meet them: by counts and events, never by the clock.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use toolplane_data_plane::Options;
use toolplane_data_plane::options::Capacity;
use toolplane_registry::snapshot::{DomainSnapshot, Endpoint};
use toolplane_registry::{Limits, RawJson, Tool};
use toolplane_testkit::fake_upstream::{Fault, Recorded};
use toolplane_testkit::{FakeControlPlane, FakeUpstream};
use toolplane_upstream::limits::breaker::Phase;

use crate::harness::{Node, domain, domain_at, inner, snapshot};

const CALL: &str = r#"{"tool_name":"x"}"#;

async fn upstream(tool: &str) -> FakeUpstream {
    FakeUpstream::builder().stateless().tool(tool).start().await
}

fn limited(name: &str, upstream: &FakeUpstream, tool: &str, limits: Limits) -> DomainSnapshot {
    let config_id = format!("{limits:?}");
    domain_at(name, Endpoint { limits, config_id, ..Endpoint::plain(upstream.url()) }, &[tool])
}

async fn node_with(domains: Vec<DomainSnapshot>, options: Options) -> (FakeControlPlane, Node) {
    let control_plane = FakeControlPlane::start().await;
    control_plane.publish(&snapshot(1, domains));
    let node = Node::following(&control_plane, 1, options).await;
    (control_plane, node)
}

fn phase(node: &Node, domain: &str) -> Phase {
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

// ---- shedding ----

fn capacity(max_connections: usize, max_requests: usize, max_buffered_bytes: usize) -> Options {
    let capacity = Capacity { max_connections, max_requests, max_buffered_bytes };
    Options { capacity, max_body_bytes: max_buffered_bytes.min(4 << 20), ..Options::default() }
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_and_probes_never() {
    let upstream = upstream("x").await;
    let options = capacity(1000, 2, 1 << 20);
    let (_control_plane, node) = node_with(vec![domain("echo", &upstream, &["x"])], options).await;
    upstream.fault("tools/call", Fault::Hang);
    let running = join_all((0..2).map(|_| node.ask("execute_tool", CALL)));
    let beyond = async {
        upstream.wait_for("tools/call", 2).await;
        let refused = node.rpc(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
        assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "1"));
        let error = &refused.json()["error"];
        assert_eq!((&error["code"], &error["data"]["code"]), (&json!(-32000), &json!("overloaded")));
        let rest = node.get("/registry/servers").await;
        assert_eq!((rest.status, &rest.json()["code"]), (503, &json!("overloaded")));
        assert_eq!((node.get("/healthz").await.status, node.get("/readyz").await.status), (200, 200));
        upstream.clear_faults();
        upstream.release();
    };
    let (answers, ()) = tokio::join!(running, beyond);
    assert!(answers.iter().all(|answer| answer["tool"] == "x"), "{answers:?}");
    assert_eq!(node.rpc(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await.status, 200);
}

#[tokio::test]
async fn large_bodies_together_never_hold_more_than_the_limit() {
    const MIB: usize = 1 << 20;
    let upstream = upstream("x").await;
    let (_control_plane, node) =
        node_with(vec![domain("echo", &upstream, &["x"])], capacity(1000, 1000, 8 * MIB)).await;
    upstream.fault("tools/call", Fault::Hang);
    let padding = "x".repeat(3 * MIB);
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"execute_tool","arguments":{{"tool_name":"x","arguments":{{"p":"{padding}"}}}}}}}}"#
    );
    // Two of three mebibytes fit into eight.
    let running = join_all((0..2).map(|_| node.rpc(&message)));
    let beyond = async {
        upstream.wait_for("tools/call", 2).await;
        for _ in 0..20 {
            assert_eq!(node.rpc(&message).await.status, 503);
        }
        let load = node.gate().load();
        assert!((6 * MIB..=8 * MIB).contains(&load.buffered_bytes), "{load:?}");
        assert_eq!((load.requests, load.refused_bodies), (2, 20));
        assert_eq!(
            node.rpc(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await.status,
            200,
            "small ones fit"
        );
        assert_eq!(node.get("/healthz").await.status, 200);
        upstream.clear_faults();
        upstream.release();
    };
    let (answers, ()) = tokio::join!(running, beyond);
    assert!(answers.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn a_flood_of_large_replies_is_shed_before_memory_grows() {
    const MIB: usize = 1 << 20;
    const ROOM: usize = 8 * MIB;
    let upstream = upstream("x").await;
    let (_control_plane, node) =
        node_with(vec![domain("echo", &upstream, &["x"])], capacity(1000, 1000, ROOM)).await;
    node.ask("execute_tool", CALL).await;
    upstream.clear();
    upstream.set_result("x", &text_of(3 * MIB));
    upstream.fault("tools/call", Fault::Hang);
    let calls = (0..24).map(|_| node.ask("execute_tool", CALL));
    let calls = join_all(calls);
    let (done, finished) = tokio::sync::oneshot::channel();
    let watched = async {
        upstream.wait_for("tools/call", 24).await;
        upstream.clear_faults();
        upstream.release();
        let (mut most, mut finished) = (0, std::pin::pin!(finished));
        while futures::poll!(finished.as_mut()).is_pending() {
            most = most.max(node.gate().load().buffered_bytes);
            tokio::task::yield_now().await;
        }
        most
    };
    let all = async {
        let answers = calls.await;
        done.send(()).unwrap();
        answers
    };
    let (answers, most) = tokio::join!(all, watched);
    let (refused, told): (Vec<&Value>, Vec<&Value>) =
        answers.iter().partition(|answer| answer["code"] == "overloaded");
    assert!(told.iter().all(|answer| answer["result"].as_str().unwrap().len() == 3 * MIB));
    assert!(!told.is_empty() && !refused.is_empty(), "{} and {}", told.len(), refused.len());
    assert_eq!(refused[0]["details"], json!({"tool": "x", "domain": "echo", "retry_after_seconds": 1}));
    assert!(refused[0]["error"].as_str().unwrap().contains("has run"), "{}", refused[0]);
    // An answer has some bytes around what was replied, and is counted without being asked.
    assert!((3 * MIB..ROOM + MIB).contains(&most), "{most}");
    assert!(
        matches!(phase(&node, "echo"), Phase::Closed { failures: 0, .. }),
        "it is not the upstream's fault"
    );
    node.nothing_is_held().await;
}

#[tokio::test]
async fn answers_that_nobody_reads_take_room_and_newcomers_are_told_to_come_back() {
    const MIB: usize = 1 << 20;
    let upstream = upstream("x").await;
    // More than the sockets of a connection take, whose reading end is kept small.
    upstream.set_result("x", &text_of(6 * MIB));
    let (_control_plane, node) =
        node_with(vec![domain("echo", &upstream, &["x"])], capacity(1000, 1000, 14 * MIB)).await;
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"execute_tool","arguments":{CALL}}}}}"#
    );
    let mut readers = Vec::new();
    for number in 1..=2 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 << 10).unwrap();
        let mut stream = socket.connect(node.address.parse().unwrap()).await.unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n",
            message.len()
        );
        stream.write_all((head + &message).as_bytes()).await.unwrap();
        upstream.wait_for("tools/call", number).await;
        // The first piece of the answer: all of it is there by then.
        stream.readable().await.unwrap();
        readers.push(stream);
    }
    let held = node.gate().load();
    assert!(held.requests == 2 && held.buffered_bytes >= 12 * MIB, "{held:?}");
    assert_eq!(node.ask("execute_tool", CALL).await["code"], "overloaded", "a third reply does not fit");
    assert_eq!(node.gate().load().refused_replies, 1);
    let padding = "x".repeat(3 * MIB);
    let large = node.rpc(&message.replace(r#""id":1"#, &format!(r#""id":1,"padding":"{padding}""#))).await;
    assert_eq!((large.status, large.headers["retry-after"].as_str()), (503, "1"), "nor does a body");
    upstream.set_result("x", &text_of(10));
    assert_eq!(node.ask("execute_tool", CALL).await["tool"], "x", "small ones fit");
    for mut stream in readers {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.len() > 6 * MIB, "{}", answer.len());
    }
    node.nothing_is_held().await;
}

/// A result of one text of that many bytes.
fn text_of(bytes: usize) -> String {
    format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(bytes))
}

#[tokio::test]
async fn with_every_connection_taken_probes_are_answered_and_others_told_to_come_back() {
    let wanted = (open_files() / 3).min(10_000);
    if wanted < 10_000 {
        eprintln!(
            "only {wanted} idle connections instead of 10000: that is what the limit of open files allows"
        );
    }
    let upstream = upstream("x").await;
    // None of them is idle for long enough to give way.
    let options =
        Options { connection_idle_timeout: Duration::from_hours(1), ..capacity(wanted, 1000, 1 << 20) };
    let (_control_plane, node) = node_with(vec![domain("echo", &upstream, &["x"])], options).await;
    let mut idle = Vec::with_capacity(wanted);
    while node.gate().load().connections < wanted {
        match TcpStream::connect(&node.address).await {
            Ok(stream) => idle.push(stream),
            Err(error) => panic!("after {}: {error}", idle.len()),
        }
        // Waits for nothing but the node's own count: what was connected has been taken.
        while node.gate().load().connections < idle.len().min(wanted) {
            tokio::task::yield_now().await;
        }
    }
    let ask = async |path: &str| {
        let mut stream = TcpStream::connect(&node.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: node\r\naccept: */*\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.to_ascii_lowercase()
    };
    for _ in 0..3 {
        assert!(ask("/healthz").await.starts_with("http/1.1 200"));
        assert!(ask("/readyz").await.starts_with("http/1.1 200"));
        let refused = ask("/mcp").await;
        assert!(refused.starts_with("http/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
        assert!(refused.contains("overloaded") && refused.contains("connection: close"), "{refused}");
    }
    assert!(node.gate().load().refused_connections >= 9);
    drop(idle);
    // The places come back as the node notices.
    while node.gate().load().connections > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(node.rpc(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await.status, 200);
}

/// How many files this process may open; both ends of a connection are in it.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(1024)
}
