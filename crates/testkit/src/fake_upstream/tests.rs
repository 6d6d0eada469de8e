//! The fake's own rules, over a plain socket: nothing here depends on the client under test elsewhere.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

async fn post(upstream: &FakeUpstream, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(upstream.address()).await.unwrap();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

const INITIALIZE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;
const CALL: &str =
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a","arguments":{"n":1e400}}}"#;

#[tokio::test]
async fn sessions_are_issued_asked_for_and_forgotten() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    assert!(post(&upstream, "", CALL).await.starts_with("HTTP/1.1 400"));
    let opened = post(&upstream, "", INITIALIZE).await;
    assert!(opened.contains("mcp-session-id: session-1") && opened.contains("2025-06-18"), "{opened}");
    let answer = post(&upstream, "mcp-session-id: session-1\r\n", CALL).await;
    assert!(answer.contains(r#"{\"tool\":\"a\",\"arguments\":{\"n\":1e400}}"#), "{answer}");
    upstream.forget_sessions();
    assert!(post(&upstream, "mcp-session-id: session-1\r\n", CALL).await.starts_with("HTTP/1.1 404"));
    assert_eq!(upstream.methods(), ["tools/call", "initialize", "tools/call", "tools/call"]);
}

#[tokio::test]
async fn a_hanging_request_goes_on_when_released() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    upstream.fault_once("tools/call", Fault::Hang);
    let released = async {
        upstream.wait_for("tools/call", 1).await;
        upstream.release();
    };
    let (answer, ()) = tokio::join!(post(&upstream, "", CALL), released);
    assert!(answer.contains("1e400"), "{answer}");
    assert!(post(&upstream, "", CALL).await.contains("1e400"));
}

#[tokio::test]
async fn a_stopped_upstream_refuses_until_it_is_restarted() {
    let mut upstream = FakeUpstream::builder().stateless().start().await;
    upstream.stop().await;
    assert!(TcpStream::connect(upstream.address()).await.is_err());
    upstream.restart().await;
    assert!(post(&upstream, "", INITIALIZE).await.starts_with("HTTP/1.1 200"));
}
