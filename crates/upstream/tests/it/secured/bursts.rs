//! Many calls at once to an upstream that nobody is connected to.

use futures::future::join_all;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use toolplane_registry::Protocol;
use toolplane_testkit::fake_upstream::{Era, Fault};

use super::*;
use crate::{AMPLE, call};

const BURST: usize = 16;

/// An upstream that is called without a handshake, which would come first and alone.
async fn stateless(tls: Tls) -> FakeUpstream {
    FakeUpstream::builder().tool("a").era(Era::Stateless).tls(tls).start().await
}

fn stateless_target(connector: &Connector, upstream: &FakeUpstream, authority: &Authority) -> Target {
    Target { protocol: Protocol::Stateless, ..target(connector, upstream, &trusting(authority)) }
}

#[tokio::test]
async fn a_burst_over_http2_shares_the_one_connection_that_is_made_for_it() {
    let authority = Authority::new("private");
    let upstream = stateless(Tls::new(authority.pair("upstream"))).await;
    let connector = connector();
    let client = Client::new(connector.clone());
    let target = stateless_target(&connector, &upstream, &authority);
    for answer in join_all((0..BURST).map(|_| call_a(&client, &target))).await {
        answer.unwrap();
    }
    assert_eq!((upstream.connections(), upstream.count("tools/call")), (1, BURST));
}

#[tokio::test]
async fn over_http1_no_call_waits_for_the_answer_of_another() {
    let authority = Authority::new("private");
    let upstream = stateless(Tls::new(authority.pair("upstream")).without_http2()).await;
    upstream.fault("tools/call", Fault::Hang);
    let connector = connector();
    let client = Client::new(connector.clone());
    let target = stateless_target(&connector, &upstream, &authority);
    let all_arrived = async {
        upstream.wait_for("tools/call", BURST).await;
        upstream.release();
    };
    let (answers, ()) = tokio::join!(join_all((0..BURST).map(|_| call_a(&client, &target))), all_arrived);
    for answer in answers {
        answer.unwrap();
    }
    assert_eq!(upstream.connections(), BURST);
}

#[tokio::test]
async fn where_one_cannot_connect_the_others_try_and_say_so_themselves() {
    let authority = Authority::new("private");
    let mut upstream = stateless(Tls::new(authority.pair("upstream"))).await;
    let connector = connector();
    let client = Client::new(connector.clone());
    let target = stateless_target(&connector, &upstream, &authority);
    upstream.stop().await;
    for answer in join_all((0..BURST).map(|_| call_a(&client, &target))).await {
        assert!(matches!(answer, Err(Error::Connect(_))), "{answer:?}");
    }
    upstream.restart().await;
    call_a(&client, &target).await.unwrap();
}

#[tokio::test]
async fn a_call_that_is_given_up_while_it_connects_leaves_the_turn_to_the_next() {
    let silent = TcpListener::bind("localhost:0").await.unwrap();
    let url = format!("https://{}/mcp", silent.local_addr().unwrap());
    let client = Client::new(connector());
    let mut calls = JoinSet::new();
    let mut start = || {
        let target = Target { protocol: Protocol::Stateless, ..Target::plain(url.clone()) };
        let client = client.clone();
        calls.spawn(async move { client.call_tool(&target, &call("a", "{}"), AMPLE).await.map(drop) })
    };
    // Each connection is kept open and never answered.
    let first = start();
    let _first_connection = silent.accept().await.unwrap();
    start();
    tokio::task::yield_now().await;
    first.abort();
    let _second_connection = silent.accept().await.unwrap();
}
