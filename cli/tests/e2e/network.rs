//! The way between nodes and their control plane: half-open, slow, stalling, breaking. Nodes serve through all of it.

use std::sync::Arc;
use std::time::Duration;

use toolplane_testkit::fault_proxy::{Faults, Way};
use toolplane_testkit::{FaultProxy, TestDatabase};

use crate::checker::check;
use crate::fleet::{Fleet, Plan, served};
use crate::harness::{http, register};

/// Longer than either side may take to notice that the other is gone, and the longest pause before it tries again.
const LONGEST: Duration = Duration::from_mins(2);

/// A fleet whose first nodes reach the control plane through a proxy.
pub(crate) async fn behind_a_proxy(database: &TestDatabase, proxied: usize) -> (Fleet, Arc<FaultProxy>) {
    // Nobody connects before it is aimed.
    let proxy = Arc::new(FaultProxy::start(std::path::PathBuf::from("/nonexistent")).await);
    let way = Arc::clone(&proxy);
    let route = move |index: usize, control_planes: &[String]| {
        if index >= proxied {
            return control_planes.to_vec();
        }
        let authority = control_planes[0].trim_start_matches("http://");
        way.aim(authority.parse::<std::net::SocketAddr>().expect("an address"));
        vec![format!("http://{}", way.address())]
    };
    (Fleet::on(&[database.url()]).over_tcp().route(route).start().await, proxy)
}

/// Asks again until it is so, for longer than is usual.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let asking = async {
        let mut pace = tokio::time::interval(Duration::from_millis(200));
        while !condition().await {
            pace.tick().await;
        }
    };
    tokio::time::timeout(LONGEST, asking).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Whether a node says that what it serves may be out of date.
pub(crate) async fn is_stale(url: &str) -> Option<bool> {
    let (_, body) = http(url, "GET", "/readyz", None).await?;
    // Only a stale node speaks of it.
    Some(body["stale"] == true)
}

/// Whether the control plane shows a node as connected.
pub(crate) async fn is_connected(fleet: &Fleet, name: &str) -> Option<bool> {
    let nodes = fleet.ask(&["node", "list"]).await;
    let node = nodes["nodes"].as_array()?.iter().find(|node| node["node_id"] == name)?;
    node["connected"].as_bool()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_connection_is_noticed_by_both_sides_and_made_anew() {
    let database = TestDatabase::sqlite();
    let (fleet, proxy) = behind_a_proxy(&database, 1).await;
    let load = fleet.load(Plan { writers: 0, ..Plan::default() });
    proxy.set(Faults::stalled());
    let url = fleet.roster.url(0);
    eventually("the node knows that it may be stale", async || is_stale(&url).await == Some(true)).await;
    eventually("the stream was given up", async || is_connected(&fleet, "node-0").await == Some(false)).await;
    let held = served(&url).await.expect("it serves");
    for number in 0..5 {
        let answer = register(&fleet.roster.url(1), &format!("news_{number}"), &fleet.upstream.url()).await;
        assert_eq!(answer.expect("an answer").0, 200);
    }
    assert_eq!(served(&url).await.expect("it serves"), held, "nothing reaches it");

    proxy.set(Faults::default());
    eventually("the node follows again", async || is_stale(&url).await == Some(false)).await;
    let mut history = load.stop().await;
    for number in 0..5 {
        history.domains.insert(format!("news_{number}"), [Some(String::new())].into());
    }
    check(&fleet, history).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_way_that_stalls_is_noticed_like_both() {
    let database = TestDatabase::sqlite();
    let (fleet, proxy) = behind_a_proxy(&database, 2).await;
    let load = fleet.load(Plan { writers: 1, ..Plan::default() });
    let stalled = Way { stalled: true, ..Way::default() };
    for faults in [
        Faults { to_client: stalled, ..Faults::default() },
        Faults { to_target: stalled, ..Faults::default() },
    ] {
        proxy.set(faults);
        for index in 0..2 {
            let url = fleet.roster.url(index);
            eventually("the node knows", async || is_stale(&url).await == Some(true)).await;
        }
        proxy.set(Faults::default());
        for index in 0..2 {
            let url = fleet.roster.url(index);
            eventually("the node follows again", async || is_stale(&url).await == Some(false)).await;
        }
    }
    check(&fleet, load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_way_delays_and_breaks_nothing() {
    let database = TestDatabase::sqlite();
    let (fleet, proxy) = behind_a_proxy(&database, 2).await;
    proxy.set(Faults::slow(Duration::from_millis(300), Duration::from_millis(50)));
    let load = fleet.load(Plan { changes: 40, ..Plan::default() });
    let history = load.done().await;
    assert!(history.in_doubt.is_empty(), "{:#?}", history.in_doubt);
    // On a loaded machine a connection may be given up, and made anew; nothing may come of it.
    println!("{:?}", proxy.counts());
    check(&fleet, history).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalls_and_resets_at_random_moments_lose_nothing() {
    const CHANGES: usize = 200;
    let database = TestDatabase::sqlite();
    let (fleet, proxy) = behind_a_proxy(&database, 2).await;
    let mut seed = fleet.seed.fork(1);
    let load = fleet.load(Plan::default());
    while load.count() < CHANGES {
        let stalled = Way { stalled: true, ..Way::default() };
        match seed.below(6) {
            0 => proxy.set(Faults::stalled()),
            1 => proxy.set(Faults { to_client: stalled, ..Faults::default() }),
            2 => proxy.set(Faults { to_target: stalled, ..Faults::default() }),
            3 => proxy.set(Faults::refusing()),
            4 => proxy.set(Faults::narrow(1 + seed.below(64), Duration::from_millis(1))),
            _ => {}
        }
        tokio::time::sleep(seed.pause(Duration::from_millis(400))).await;
        if seed.below(3) > 0 {
            proxy.reset();
        }
        proxy.set(Faults::default());
        tokio::time::sleep(seed.pause(Duration::from_millis(700))).await;
    }
    for index in 0..2 {
        let url = fleet.roster.url(index);
        eventually("the node follows again", async || is_stale(&url).await == Some(false)).await;
    }
    println!("{:?}", proxy.counts());
    check(&fleet, load.stop().await).await;
}
