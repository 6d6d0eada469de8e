//! Stopping without dropping what is under way, and ending connections without losing a request.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use toolplane_data_plane::Options;
use toolplane_testkit::fake_upstream::Fault;

use crate::harness::{PATIENCE, World};

#[tokio::test]
async fn calls_under_way_are_finished_and_the_listener_closes_last() {
    let world = World::start(&["x"], Options::default()).await;
    world.upstream.fault("tools/call", Fault::Hang);
    let drain = async {
        world.upstream.wait_for("tools/call", 1).await;
        world.node.begin_drain();
        let ready = world.node.get("/readyz").await;
        assert_eq!((ready.status, ready.body.as_str()), (503, r#"{"status":"draining"}"#));
        assert_eq!(ready.headers["connection"], "close");
        assert_eq!(world.node.get("/healthz").await.status, 200, "whoever drains is alive");
        world.upstream.release();
    };
    let (answer, ()) = tokio::join!(world.node.ask("execute_tool", r#"{"tool_name":"x"}"#), drain);
    assert_eq!(answer["tool"], "x");
    let address = world.node.address.clone();
    world.node.stop().await;
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn during_the_grace_everything_is_served_and_afterwards_the_node_ends() {
    let options = Options { drain_grace: Duration::from_secs(1), ..Options::default() };
    let world = World::start(&["x"], options).await;
    world.node.begin_drain();
    assert_eq!(world.node.get("/readyz").await.status, 503);
    assert_eq!(world.node.ask("execute_tool", r#"{"tool_name":"x"}"#).await["tool"], "x");
    world.node.stop().await;
}

#[tokio::test]
async fn a_call_that_outlasts_the_deadline_is_cut() {
    let options = Options { drain_timeout: Duration::from_millis(300), ..Options::default() };
    let world = World::start(&["x"], options).await;
    world.upstream.fault("tools/call", Fault::Hang);
    let mut connection = Connection::open(&world.node.address).await;
    connection.send(CALL).await;
    world.upstream.wait_for("tools/call", 1).await;
    world.node.stop().await;
    assert!(connection.ends().await, "nobody answers anymore");
}

#[tokio::test]
async fn an_old_connection_ends_with_its_next_answer_and_not_before() {
    let options = Options { max_connection_age: Duration::from_millis(500), ..Options::default() };
    let world = World::start(&["x"], options).await;
    let mut connection = Connection::open(&world.node.address).await;
    // The age counts from the moment the connection was taken, and it comes once for every connection.
    let mut answers = 0;
    loop {
        connection.send(HEALTH).await;
        let head = connection.head().await.expect("an idle connection of that age is still served");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        answers += 1;
        if head.contains("connection: close") {
            break;
        }
    }
    assert!(answers > 1, "a young connection is kept");
    assert!(connection.ends().await);
    // Whoever leaves it unused for as long again is hung up on.
    let mut idle = Connection::open(&world.node.address).await;
    idle.send(HEALTH).await;
    assert!(idle.head().await.is_some());
    assert!(idle.ends().await);
}

#[tokio::test]
async fn an_old_http2_connection_is_replaced_without_a_failed_request() {
    let options = Options { max_connection_age: Duration::from_millis(50), ..Options::default() };
    let world = World::start(&["x"], options).await;
    let client = prior_knowledge();
    let url = format!("http://{}/healthz", world.node.address);
    let first = client.get(&url).send().await.unwrap();
    assert_eq!(first.version(), reqwest::Version::HTTP_2);
    let mut ages = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..30 {
        ages.tick().await;
        assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    }
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n";
const CALL: &str = concat!(
    "POST /mcp HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: 109\r\n\r\n",
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_tool","arguments":{"tool_name":"x"}}}"#,
);

#[expect(clippy::disallowed_methods, reason = "the client of a test, not a way out to upstreams")]
fn prior_knowledge() -> reqwest::Client {
    reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap()
}

/// A connection over HTTP/1.1 that the test keeps in its own hands.
struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(address: &str) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    async fn send(&mut self, request: &str) {
        self.0.get_mut().write_all(request.as_bytes()).await.unwrap();
    }

    /// Reads an answer; its head in lower case but for the status line, `None` at the end of the connection.
    async fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await.unwrap() == 0 {
                return None;
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        Some(head)
    }

    /// Waits until the node hangs up.
    async fn ends(&mut self) -> bool {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        // Cutting a connection may reset it.
        end.is_ok() && rest.is_empty()
    }
}
