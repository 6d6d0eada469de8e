//! What a node takes on at one time, and what becomes of the rest: by counts and events, never by the clock.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use toolplane_data_plane::Options;
use toolplane_data_plane::options::Capacity;
use toolplane_testkit::fake_upstream::Fault;
use toolplane_upstream::limits::breaker::Phase;

use crate::harness::domain;
use crate::limits::{CALL, node_with, phase, upstream};

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
