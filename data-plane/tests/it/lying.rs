//! Upstreams that lie: the caller hears why, in time, and neither the liar's next call nor anybody else's suffers.

mod table;

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use toolplane_data_plane::Options;
use toolplane_registry::Protocol;
use toolplane_registry::protocol::Revision;
use toolplane_registry::snapshot::Endpoint;
use toolplane_testkit::raw_upstream::{HONEST, Seen};
use toolplane_testkit::{FakeControlPlane, FakeUpstream, RawUpstream};
use toolplane_upstream::{connector, limits};

use self::table::{Lie, MAX_REPLY, Told, lies};
use crate::harness::{Node, PATIENCE, domain, domain_at, snapshot};

/// How long a caller waits for an upstream that never comes to an end, in milliseconds.
const SOON: &str = "300";
/// What a liar can say before it notices that nobody listens: what the system buffers, and far less than it wants to.
const MAX_SAID: u64 = 100 << 20;

/// A liar, somebody else, and a node in front of both.
struct World {
    liar: RawUpstream,
    other: FakeUpstream,
    node: Node,
    _control_plane: FakeControlPlane,
}

impl World {
    async fn start(protocol: Protocol) -> Self {
        let (liar, control_plane) = (RawUpstream::start().await, FakeControlPlane::start().await);
        let other = FakeUpstream::builder().stateless().tool("fine").start().await;
        let endpoint = Endpoint { protocol, ..Endpoint::plain(liar.url()) };
        let domains = vec![domain_at("liar", endpoint, &["lie"]), domain("other", &other, &["fine"])];
        control_plane.publish(&snapshot(1, domains));
        let options = Options {
            connector: connector::Options {
                max_response_bytes: MAX_REPLY,
                // So that the number of tasks is the same whenever nothing is under way.
                pool_max_idle_per_host: 1,
                ..connector::Options::default()
            },
            // Whoever lies all the time would be spared, and here every lie has to be heard.
            upstream_limits: limits::Settings { breaker_failures: 0, ..limits::Settings::default() },
            ..Options::default()
        };
        let node = Node::following(&control_plane, 1, options).await;
        Self { liar, other, node, _control_plane: control_plane }
    }

    /// The body of the answer.
    async fn call(&self, tool: &str, headers: &[(&str, &str)]) -> String {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"execute_tool","arguments":{{"tool_name":"{tool}"}}}}}}"#
        );
        let answer = self.node.rpc_with(&message, headers).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// Calls the liar: what is wrong with the answer.
    async fn hear(&self, lie: &Lie) -> Option<String> {
        let Lie { name: _, says, told, is_endless, spoils_connection: _ } = lie;
        self.liar.lie(says);
        let waits = [("x-envoy-expected-rq-timeout-ms", SOON)];
        let body = self.call("lie", if *is_endless { &waits } else { &[] }).await;
        self.liar.be_honest();
        let is_told = match told {
            Told::Answer(part) => body.contains(part),
            // The error is JSON inside JSON.
            Told::Error(code, words) => [*code, words].iter().all(|part| body.contains(part)),
        };
        (!is_told).then(|| format!("the caller hears {}", cut(&body)))
    }

    /// What the lie did to others, and to what follows.
    async fn harm(&self, lie: &Lie) -> Option<String> {
        let truth = self.call("lie", &[]).await;
        if !truth.contains(HONEST) {
            return Some(format!("the next call hears {}", cut(&truth)));
        }
        if !self.call("fine", &[]).await.contains("fine") {
            return Some("another upstream suffers".to_owned());
        }
        if lie.spoils_connection && timeout(PATIENCE, self.liar.wait_until_dropped()).await.is_err() {
            return Some("the connection stays open".to_owned());
        }
        let Seen { lied, said, open: _, reused } = self.liar.seen();
        if lied == 0 || said > MAX_SAID {
            return Some(format!("of {lied} lies {said} bytes were taken"));
        }
        (lie.spoils_connection && reused > 0).then(|| "the connection is used again".to_owned())
    }

    /// Nothing is under way, and there are no more tasks than that many.
    async fn settle(&self, tasks: usize) -> Option<String> {
        let idle = || {
            let served = self.node.live().load();
            let running: usize =
                served.readings().map(|(_, reading)| reading.running + reading.waiting).sum();
            (running, self.node.gate().load().requests, Handle::current().metrics().num_alive_tasks())
        };
        let settled = async {
            while idle().0 + idle().1 > 0 || idle().2 > tasks {
                // Nothing tells when a task is gone.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let is_settled = timeout(PATIENCE, settled).await.is_ok();
        (!is_settled)
            .then(|| format!("(calls, requests, tasks) are {:?}, and {tasks} tasks were before", idle()))
    }
}

fn cut(text: &str) -> &str {
    text.get(..400).unwrap_or(text)
}

async fn every_lie_is_heard(protocol: Protocol) {
    let world = World::start(protocol).await;
    for _ in 0..2 {
        assert!(world.call("lie", &[]).await.contains(HONEST));
        assert!(world.call("fine", &[]).await.contains("fine"));
    }
    let (tasks, connections) = (Handle::current().metrics().num_alive_tasks(), world.other.connections());
    let mut problems = Vec::new();
    for lie in lies(&world.other.url()) {
        let found = [world.hear(&lie).await, world.harm(&lie).await, world.settle(tasks).await];
        problems.extend(found.into_iter().flatten().map(|problem| format!("{}: {problem}", lie.name)));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(world.other.connections(), connections, "nobody is led elsewhere");
    let asks_for_codings =
        world.other.requests().iter().any(|request| request.header("accept-encoding").is_some());
    assert!(!asks_for_codings, "what nobody asks for cannot blow up");
    let World { node, liar, other, _control_plane: control_plane } = world;
    node.stop().await;
    drop((liar, other, control_plane));
    let gone = async {
        while Handle::current().metrics().num_alive_tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("a stopped node leaves no task behind");
}

#[tokio::test]
async fn lies_in_the_stateless_revision_are_told_apart_and_harm_nothing_else() {
    every_lie_is_heard(Protocol::Stateless).await;
}

#[tokio::test]
async fn lies_in_a_handshake_revision_are_told_apart_and_harm_nothing_else() {
    every_lie_is_heard(Protocol::Handshake { revision: Revision::V2025_11_25, sessions: false }).await;
}
