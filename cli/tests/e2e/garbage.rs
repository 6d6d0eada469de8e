//! Peers that say what they must not: a hostile node at a real control plane, a hostile control plane at a real node.

use std::time::Duration;

use tonic::{Code, Status};
use toolplane_proto::sync::subscribe_request::Message;
use toolplane_proto::sync::{Ack, HeldDomain, Hello};
use toolplane_testkit::{RawNode, TestDatabase};

use crate::checker::check;
use crate::fleet::{Fleet, Plan};
use crate::harness::{PATIENCE, register};

/// Longer than the control plane takes from a node.
const TOO_LONG: usize = (8 << 20) + 1;

/// A fleet on SQLite, the address of its control plane, and the token of its nodes.
async fn fleet() -> (TestDatabase, Fleet, String, String) {
    let database = TestDatabase::sqlite();
    let fleet = Fleet::on(&[database.url()]).over_tcp().start().await;
    let address = fleet.roster.admin().addresses[0].clone();
    let token = std::fs::read_to_string(fleet.folder.path().join("node.token")).expect("the token");
    (database, fleet, address, token.trim().to_owned())
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

fn hello(node_id: &str) -> Hello {
    Hello { node_id: node_id.to_owned(), ..Hello::default() }
}

fn ack(nonce: &str) -> Message {
    Message::Ack(Ack { nonce: nonce.to_owned(), ..Ack::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_begins_badly_is_told_precisely_why_it_ends() {
    let (_database, fleet, address, token) = fleet().await;
    let load = fleet.load(Plan { writers: 2, ..Plan::default() });
    let text = "x".repeat(300);
    let bad_domain = HeldDomain { domain: String::new(), digest: vec![1; 32] };
    let bad_digest = HeldDomain { domain: "docs".to_owned(), digest: vec![1; 3] };
    let firsts = [
        (Message::Hello(hello(" ")), Code::InvalidArgument, "needs an id"),
        (Message::Hello(hello(&text)), Code::InvalidArgument, "256 bytes"),
        (Message::Hello(Hello { domains: vec![bad_domain], ..hello("n") }), Code::InvalidArgument, "domain"),
        (Message::Hello(Hello { domains: vec![bad_digest], ..hello("n") }), Code::InvalidArgument, "digest"),
        (
            Message::Hello(Hello { protocol_version: 99, ..hello("n") }),
            Code::FailedPrecondition,
            "version 99",
        ),
        (ack("1"), Code::FailedPrecondition, "must be Hello"),
    ];
    for (first, code, reason) in firsts {
        let node = RawNode::open(&address, &token).await.expect("a stream");
        node.say(first.clone()).await;
        assert_status(&in_time(node.end()).await, code, reason, &first);
    }
    let raw = [
        (b"\xff\xff\xff garbage".to_vec(), Code::InvalidArgument, "cannot be read"),
        (Vec::new(), Code::FailedPrecondition, "must be Hello"),
        (vec![0; TOO_LONG], Code::ResourceExhausted, "too long"),
    ];
    for (bytes, code, reason) in raw {
        let node = RawNode::open(&address, &token).await.expect("a stream");
        let length = bytes.len();
        node.send(bytes).await;
        assert_status(&in_time(node.end()).await, code, reason, &length);
    }
    let silent = RawNode::open(&address, &token).await.expect("a stream");
    assert_status(&in_time(silent.end()).await, Code::DeadlineExceeded, "no Hello", &"silence");
    let stranger = RawNode::open(&address, "not a token").await.expect_err("refused");
    assert_status(&stranger, Code::Unauthenticated, "token", &"a stranger");
    check(&fleet, load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_goes_bad_ends_alone() {
    let (_database, fleet, address, token) = fleet().await;
    let load = fleet.load(Plan { writers: 2, ..Plan::default() });
    let endings: [(&str, Vec<u8>, Code, &str); 2] = [
        ("garbage", b"\xff\xff\xff".to_vec(), Code::InvalidArgument, "cannot be read"),
        ("oversize", vec![0; TOO_LONG], Code::ResourceExhausted, "too long"),
    ];
    for (name, bytes, code, reason) in endings {
        let mut node = RawNode::follow(&address, &token, name).await.expect("a stream");
        let update = in_time(node.update()).await.expect("an update");
        node.ack(&update).await;
        node.send(bytes).await;
        assert_status(&in_time(node.end()).await, code, reason, &name);
    }
    let sayings = [
        ("twice", Message::Hello(hello("twice")), Code::FailedPrecondition, "already said"),
        ("liar", ack("77"), Code::InvalidArgument, "never issued"),
        ("poet", ack("not a nonce"), Code::InvalidArgument, "never issued"),
    ];
    for (name, message, code, reason) in sayings {
        let mut node = RawNode::follow(&address, &token, name).await.expect("a stream");
        in_time(node.update()).await.expect("an update");
        node.say(message).await;
        assert_status(&in_time(node.end()).await, code, reason, &name);
    }
    check(&fleet, load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_come_twice_in_floods_or_never_harm_nobody() {
    const FLOOD: usize = 20_000;
    let (_database, fleet, address, token) = fleet().await;
    let mut load = fleet.load(Plan { writers: 2, ..Plan::default() });
    let mut silent = RawNode::follow(&address, &token, "silent").await.expect("a stream");
    let unanswered = in_time(silent.update()).await.expect("an update");
    let mut flood = RawNode::follow(&address, &token, "flood").await.expect("a stream");
    let update = in_time(flood.update()).await.expect("an update");
    for _ in 0..FLOOD {
        flood.ack(&update).await;
    }
    load.more(10).await;
    let next = in_time(flood.update()).await.expect("the stream lives");
    assert!(next.version.expect("a version").number > update.version.expect("a version").number);
    let late = tokio::time::timeout(Duration::from_millis(300), silent.update()).await;
    assert!(late.is_err(), "one update at a time: {late:?}");
    silent.ack(&unanswered).await;
    in_time(silent.update()).await.expect("and the newest once it has answered");
    drop((silent, flood));
    check(&fleet, load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_snapshot_is_shown_with_who_refused_it_and_why() {
    let (_database, fleet, address, token) = fleet().await;
    let mut picky = RawNode::follow(&address, &token, "picky").await.expect("a stream");
    let held = in_time(picky.update()).await.expect("an update");
    picky.ack(&held).await;
    let answer = register(&fleet.roster.url(0), "distasteful", &fleet.upstream.url()).await;
    assert_eq!(answer.expect("an answer").0, 200);
    let offered = in_time(picky.update()).await.expect("an update");
    picky.nack(&offered, Some(&held), "it is not to my liking").await;

    let number = offered.version.expect("a version").number;
    crate::network::eventually("both lists say so", async || {
        let nodes = fleet.ask(&["node", "list"]).await;
        let versions = fleet.ask(&["snapshot", "list"]).await;
        let node = nodes["nodes"].as_array().expect("nodes").iter().find(|node| node["node_id"] == "picky");
        let version = versions.as_array().expect("versions").iter().find(|one| one["version"] == number);
        let says = |value: Option<&serde_json::Value>, word: &str| {
            value.is_some_and(|value| value.to_string().contains(word))
        };
        says(node, "not to my liking") && says(version, "not to my liking") && says(version, "picky")
    })
    .await;
    // What comes after is offered again, and takes the blemish from the node.
    let answer = register(&fleet.roster.url(0), "better", &fleet.upstream.url()).await;
    assert_eq!(answer.expect("an answer").0, 200);
    let better = in_time(picky.update()).await.expect("an update");
    picky.ack(&better).await;
    crate::network::eventually("the node is well again", async || {
        let nodes = fleet.ask(&["node", "list"]).await;
        !nodes.to_string().contains("liking")
    })
    .await;
}

fn assert_status(status: &Status, code: Code, reason: &str, what: &impl std::fmt::Debug) {
    assert_eq!(status.code(), code, "{what:?}: {status:?}");
    assert!(status.message().contains(reason), "{what:?}: {status:?}");
}
