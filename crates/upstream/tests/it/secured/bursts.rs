//! Many calls at once to an upstream that nobody is connected to.

use std::net::SocketAddr;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
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

/// Lets connections through to an upstream, but for the first one, which is accepted and never answered.
async fn let_all_but_the_first_through(door: TcpListener, upstream: SocketAddr) {
    let _hanging = door.accept().await.unwrap();
    let mut passing = JoinSet::new();
    loop {
        let (mut outer, _) = door.accept().await.unwrap();
        passing.spawn(async move {
            let mut inner = TcpStream::connect(upstream).await?;
            copy_bidirectional(&mut outer, &mut inner).await
        });
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_holds_up_no_call_but_its_own() {
    let authority = Authority::new("private");
    let upstream = stateless(Tls::new(authority.pair("upstream"))).await;
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/mcp", door.local_addr().unwrap().port());
    let options = Options { max_spare_sessions: 0, connect_timeout: AMPLE, ..Options::default() };
    let connector = Connector::new(options).unwrap();
    let client = Client::new(connector.clone());
    let target = Target { url, ..stateless_target(&connector, &upstream, &authority) };
    let mut calls: FuturesUnordered<_> = (0..BURST).map(|_| call_a(&client, &target)).collect();
    let others = async {
        for _ in 1..BURST {
            calls.next().await.unwrap().unwrap();
        }
    };
    tokio::select! {
        () = others => {}
        () = let_all_but_the_first_through(door, upstream.address()) => {}
    }
    assert_eq!(upstream.count("tools/call"), BURST - 1);
}

#[tokio::test]
async fn where_one_cannot_connect_the_others_do_not_wait_for_each_other() {
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/mcp", door.local_addr().unwrap());
    let client = Client::new(connector());
    let target = Target { protocol: Protocol::Stateless, ..Target::plain(url) };
    let side_by_side = async {
        drop(door.accept().await.unwrap());
        // Each is kept open and never answered.
        let mut connections = Vec::new();
        while connections.len() < BURST - 1 {
            connections.push(door.accept().await.unwrap());
        }
    };
    tokio::select! {
        () = side_by_side => {}
        answers = join_all((0..BURST).map(|_| call_a(&client, &target))) => panic!("{answers:?}"),
    }
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
