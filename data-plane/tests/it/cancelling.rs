//! A caller who goes away, and what its upstream hears of it: by events, never by the clock.

use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use toolplane_data_plane::Options;
use toolplane_registry::protocol::Revision;
use toolplane_registry::snapshot::Endpoint;
use toolplane_registry::{Limits, Protocol};
use toolplane_testkit::fake_upstream::{Era, Fault};
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

use crate::harness::{Node, PATIENCE, domain_at, snapshot};

const HANDSHAKE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_tool","arguments":{"tool_name":"x"}}}"#;
const STATELESS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_tool","arguments":{"tool_name":"x"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

async fn node_with(upstream: &FakeUpstream, endpoint: Endpoint) -> Node {
    let control_plane = FakeControlPlane::start().await;
    control_plane.publish(&snapshot(1, vec![domain_at("echo", endpoint, &["x"])]));
    let node = Node::following(&control_plane, 1, Options::default()).await;
    upstream.fault("tools/call", Fault::Hang);
    node
}

fn endpoint(upstream: &FakeUpstream, protocol: Protocol) -> Endpoint {
    Endpoint { protocol, ..Endpoint::plain(upstream.url()) }
}

async fn hanging_call(node: &Node, body: &str) -> TcpStream {
    let modern = if body == STATELESS {
        "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: execute_tool\r\nmcp-param-tool: x\r\n"
    } else {
        ""
    };
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n{modern}content-length: {}\r\n\r\n",
        node.address,
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_caller_who_hangs_up_ends_the_request_to_an_upstream_without_sessions() {
    for (era, protocol) in [
        (Era::Stateless, Protocol::Stateless),
        (Era::Handshake, Protocol::Handshake { revision: Revision::V2025_06_18, sessions: false }),
    ] {
        let upstream = FakeUpstream::builder().stateless().era(era).tool("x").start().await;
        let node = node_with(&upstream, endpoint(&upstream, protocol)).await;
        for (calls, body) in [HANDSHAKE, STATELESS].into_iter().enumerate() {
            let caller = hanging_call(&node, body).await;
            upstream.wait_for("tools/call", calls + 1).await;
            drop(caller);
            let ended = upstream.wait_for_abandoned(calls + 1);
            tokio::time::timeout(PATIENCE, ended).await.expect("the upstream sees that nobody waits");
        }
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_is_reported_to_an_upstream_with_sessions_and_the_session_ends() {
    let upstream = FakeUpstream::builder().tool("x").start().await;
    let protocol = Protocol::Handshake { revision: Revision::V2025_06_18, sessions: true };
    let node = node_with(&upstream, endpoint(&upstream, protocol)).await;
    for (calls, body) in [HANDSHAKE, STATELESS].into_iter().enumerate() {
        let caller = hanging_call(&node, body).await;
        upstream.wait_for("tools/call", calls + 1).await;
        drop(caller);
        let told = async {
            upstream.wait_for("notifications/cancelled", calls + 1).await;
            upstream.wait_for("(DELETE)", calls + 1).await;
        };
        tokio::time::timeout(PATIENCE, told).await.expect("the upstream is told");
    }
    let requests = upstream.requests();
    let of = |method: &str| requests.iter().filter(|request| request.method == method).collect::<Vec<_>>();
    for ((call, cancelled), deleted) in
        of("tools/call").iter().zip(of("notifications/cancelled")).zip(of("(DELETE)"))
    {
        assert_eq!(cancelled.header("mcp-session-id"), call.header("mcp-session-id"));
        assert_eq!(deleted.header("mcp-session-id"), call.header("mcp-session-id"));
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_the_request_and_leaves_its_neighbours_alone() {
    let upstream = FakeUpstream::builder().stateless().era(Era::Stateless).tool("x").start().await;
    let node = node_with(&upstream, endpoint(&upstream, Protocol::Stateless)).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<&'static [u8]>>();
    let request = || {
        http::Request::post(format!("http://{}/mcp", node.address))
            .header("content-type", "application/json")
            .body(Full::new(HANDSHAKE.as_bytes()))
            .unwrap()
    };
    let (first, second) = (client.request(request()), client.request(request()));
    let mut second = Box::pin(second);
    {
        let mut first = Box::pin(first);
        tokio::select! {
            _ = &mut first => panic!("the upstream hangs"),
            _ = &mut second => panic!("the upstream hangs"),
            () = upstream.wait_for("tools/call", 2) => {}
        }
    }
    upstream.wait_for_abandoned(1).await;
    upstream.clear_faults();
    upstream.release();
    assert_eq!(second.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_deadline_of_ours_ends_the_request_too() {
    let upstream = FakeUpstream::builder().stateless().era(Era::Stateless).tool("x").start().await;
    let limits = Limits { timeout: Some(std::time::Duration::from_millis(200)), ..Limits::default() };
    let endpoint = Endpoint { limits, ..endpoint(&upstream, Protocol::Stateless) };
    let node = node_with(&upstream, endpoint).await;
    assert_eq!(node.ask("execute_tool", r#"{"tool_name":"x"}"#).await["code"], "upstream_timeout");
    upstream.wait_for_abandoned(1).await;
}
