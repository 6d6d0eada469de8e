//! Callers who take their answers slowly or not at all, and connections that say nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use toolplane_data_plane::Options;
use toolplane_data_plane::options::Capacity;

use crate::harness::{PATIENCE, World};

const MIB: usize = 1 << 20;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_tool","arguments":{"tool_name":"x"}}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A client over HTTP/2 that opens a small window for each answer.
#[expect(clippy::disallowed_methods, reason = "the client of a test, not a way out to upstreams")]
fn stingy() -> reqwest::Client {
    reqwest::Client::builder()
        .http2_prior_knowledge()
        .http2_initial_stream_window_size(1024)
        .no_proxy()
        .build()
        .unwrap()
}

async fn world(options: Options) -> World {
    let capacity = Capacity { max_buffered_bytes: 16 * MIB, ..Capacity::default() };
    let world = World::start(&["x"], Options { capacity, ..options }).await;
    let text = "x".repeat(5 * MIB);
    world.upstream.set_result("x", &format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#));
    world
}

async fn post(client: &reqwest::Client, world: &World, message: &'static str) -> reqwest::Response {
    let request = client
        .post(format!("http://{}/mcp", world.node.address))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    tokio::time::timeout(PATIENCE, request.body(message).send()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_connection_that_does_not_take_its_answers_is_refused_before_others_are() {
    let world = world(Options::default()).await;
    let slow = stingy();
    let unread = post(&slow, &world, CALL).await;
    assert_eq!((unread.status().as_u16(), unread.version()), (200, reqwest::Version::HTTP_2));
    assert!(world.node.gate().load().buffered_bytes >= 5 * MIB);
    let refused = post(&slow, &world, PING).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.text().await.unwrap().contains("this connection"));
    assert_eq!(world.node.rpc(PING).await.status, 200);
    assert_eq!(world.node.rpc(CALL).await.status, 200);
    assert!(unread.bytes().await.unwrap().len() > 5 * MIB, "slow is not too slow");
    assert_eq!(post(&slow, &world, PING).await.status(), 200);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up_and_its_connection_lives_on() {
    let options = Options { answer_stall_timeout: Duration::from_millis(300), ..Options::default() };
    let world = world(options).await;
    let slow = stingy();
    let unread = post(&slow, &world, CALL).await;
    world.node.nothing_is_held().await;
    assert_eq!(world.node.gate().load().connections, 1);
    assert!(unread.bytes().await.is_err(), "the stream was reset");
    assert_eq!(post(&slow, &world, PING).await.status(), 200);
    assert_eq!(world.node.gate().load().connections, 1, "the same connection");
}

#[tokio::test]
async fn over_http1_the_connection_ends_with_an_answer_that_nobody_takes() {
    let options = Options { answer_stall_timeout: Duration::from_millis(300), ..Options::default() };
    let world = world(options).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut stream = socket.connect(world.node.address.parse().unwrap()).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\naccept: application/json, \
         text/event-stream\r\ncontent-length: {}\r\n\r\n{CALL}",
        CALL.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    let gone = async {
        while world.node.gate().load().connections > 0 || world.node.gate().load().buffered_bytes > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the connection ends");
}

/// Says something and waits until the node hangs up; what it said before.
async fn hung_up(address: &str, said: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The node may hang up while it is spoken to.
    let _cut = stream.write_all(said).await;
    let mut heard = Vec::new();
    let _reset = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("it ends");
    heard
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_ends_whatever_it_says() {
    let options = Options { connection_idle_timeout: Duration::from_millis(300), ..Options::default() };
    let world = World::start(&["x"], options).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for said in [&b""[..], b"P", b"PRI * HT", b"GET /healthz HT", preface] {
        hung_up(&world.node.address, said).await;
    }
    let answered = hung_up(&world.node.address, b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n").await;
    assert!(answered.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_head_has_a_size() {
    let world = World::start(&["x"], Options::default()).await;
    let with = |bytes: usize| {
        format!(
            "GET /healthz HTTP/1.1\r\nhost: node\r\nconnection: close\r\nx-a: {}\r\n\r\n",
            "a".repeat(bytes)
        )
    };
    assert!(hung_up(&world.node.address, with(32 << 10).as_bytes()).await.starts_with(b"HTTP/1.1 200"));
    let refused = hung_up(&world.node.address, with(100 << 10).as_bytes()).await;
    assert!(!refused.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn the_connection_idle_for_longest_gives_way_to_a_newcomer() {
    let capacity = Capacity { max_connections: 2, ..Capacity::default() };
    // Idle ones may be asked to leave after a tenth of this.
    let options = Options { capacity, connection_idle_timeout: Duration::from_mins(1), ..Options::default() };
    let world = World::start(&["x"], options).await;
    let mut silent = Vec::new();
    for number in 1..=2 {
        silent.push(TcpStream::connect(&world.node.address).await.unwrap());
        while world.node.gate().load().connections < number {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let served = async {
        while world.node.rpc(PING).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.expect("a newcomer gets a place");
    let mut first = silent.remove(0);
    assert_eq!(tokio::time::timeout(PATIENCE, first.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
}
