use std::collections::HashSet;
use std::time::Duration;

use toolplane_proto::{admin, sync};
use toolplane_testkit::fake_upstream::{Era, FakeUpstream, Fault};

use crate::harness::{Plane, creation};

async fn refresh(plane: &Plane) -> Vec<admin::RefreshedDomain> {
    let request = admin::RefreshUpstreamsRequest::default();
    plane.upstreams().refresh_upstreams(request).await.unwrap().into_inner().refreshed
}

#[tokio::test]
async fn a_refresh_tells_what_came_and_went_and_keeps_what_cannot_be_listed() {
    let plane = Plane::start().await;
    let mut gone = FakeUpstream::builder().tool("x").start().await;
    let changed = FakeUpstream::builder().tool("a").tool("b").start().await;
    plane.create("changed", &changed.url()).await;
    plane.create("gone", &gone.url()).await;
    changed.rename_tools(&["b", "c"]);
    gone.stop().await;
    let result = refresh(&plane).await;
    assert_eq!((&result[0].added, &result[0].removed), (&vec!["c".to_owned()], &vec!["a".to_owned()]));
    assert!(!result[1].error.is_empty() && result[1].tool_count == 1, "{:?}", result[1]);
}

#[tokio::test]
async fn one_hanging_upstream_delays_neither_the_others_nor_their_publication() {
    let plane = Plane::start_with(|options| options.refresh.deadline = Duration::from_secs(30)).await;
    let hanging = FakeUpstream::builder().tool("x").start().await;
    let quick = FakeUpstream::builder().tool("a").start().await;
    plane.create("hanging", &hanging.url()).await;
    plane.create("quick", &quick.url()).await;
    hanging.fault("tools/list", Fault::Hang);
    quick.rename_tools(&["a", "b"]);
    let mut nodes = crate::stream::Follower::open(&plane, "n1").await;
    let round = refresh(&plane);
    let seen = nodes.until(|update| {
        update.changed.iter().any(|domain| domain.domain == "quick" && domain.tools.len() == 2)
    });
    tokio::pin!(round);
    tokio::select! {
        _ = seen => {}
        _ = &mut round => panic!("the round ended although an upstream hangs"),
    }
    hanging.release();
    round.await;
}

#[tokio::test]
async fn concurrent_refreshes_share_one_round() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    plane.create("a", &upstream.url()).await;
    upstream.clear();
    upstream.fault("tools/list", Fault::Hang);
    let rounds = futures::future::join_all((0..5).map(|_| refresh(&plane)));
    tokio::pin!(rounds);
    tokio::select! {
        () = upstream.wait_for("tools/list", 1) => {}
        _ = &mut rounds => panic!("nobody was asked"),
    }
    upstream.clear_faults();
    upstream.release();
    assert_eq!(rounds.await.len(), 5);
    // The round that was running, and at most one for callers that came after it.
    assert!(upstream.count("tools/list") <= 2, "{}", upstream.count("tools/list"));
}

#[tokio::test]
async fn the_interval_finds_changes_by_itself() {
    let plane = Plane::start_with(|options| options.refresh.interval = Some(Duration::from_millis(50))).await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    plane.create("a", &upstream.url()).await;
    let mut node = crate::stream::Follower::open(&plane, "n1").await;
    upstream.rename_tools(&["a", "b"]);
    node.until(|update| update.changed.iter().any(|domain| domain.tools.len() == 2)).await;
}

#[tokio::test]
async fn a_failing_upstream_is_shown_failing_and_its_recovery_too() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    plane.create("a", &upstream.url()).await;
    upstream.fault("tools/list", Fault::Status(500));
    refresh(&plane).await;
    let failing = plane.get("a").await.unwrap().listing.unwrap();
    assert!(failing.error.contains("500") && failing.tools_admitted == 1, "{failing:?}");
    upstream.clear_faults();
    refresh(&plane).await;
    let well = plane.get("a").await.unwrap().listing.unwrap();
    assert_eq!(well.error, "");
    assert!(well.success_time.unwrap().seconds >= failing.attempt_time.unwrap().seconds);
}

#[tokio::test]
async fn stopping_does_not_wait_for_an_upstream_that_hangs() {
    let plane = Plane::start_with(|options| options.refresh.deadline = Duration::from_hours(1)).await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    plane.create("a", &upstream.url()).await;
    upstream.clear();
    upstream.fault("tools/list", Fault::Hang);
    let client = plane.upstreams();
    let round = async {
        let mut client = client;
        drop(client.refresh_upstreams(admin::RefreshUpstreamsRequest::default()).await);
    };
    let stop = async {
        upstream.wait_for("tools/list", 1).await;
        // Ends by itself, or this test hangs.
        plane.restart_with(|_| {}).await
    };
    tokio::join!(round, stop);
}

#[tokio::test]
async fn nodes_are_told_how_an_upstream_speaks_and_told_anew_when_that_changes() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").era(Era::Stateless).start().await;
    plane.create("a", &upstream.url()).await;
    let mut nodes = crate::stream::Follower::open(&plane, "n1").await;
    let mut config_ids = HashSet::new();
    for (era, stateful, expected) in [
        (Era::Stateless, false, (sync::Era::Stateless, "2026-07-28", false)),
        (Era::Handshake, true, (sync::Era::Handshake, "2025-11-25", true)),
        (Era::Handshake, false, (sync::Era::Handshake, "2025-11-25", false)),
        (Era::Both, true, (sync::Era::Stateless, "2026-07-28", false)),
    ] {
        upstream.set_era(era);
        upstream.set_stateful(stateful);
        refresh(&plane).await;
        let speaks = |domain: &sync::Domain| {
            let protocol = domain.endpoint.as_ref().and_then(|endpoint| endpoint.protocol.as_ref());
            protocol.is_some_and(|protocol| {
                (protocol.era(), protocol.version.as_str(), protocol.issues_sessions) == expected
            })
        };
        let update = nodes.until(|update| update.changed.iter().any(speaks)).await;
        let endpoint = update.changed.into_iter().find_map(|domain| domain.endpoint).unwrap();
        config_ids.insert(endpoint.config_id);
    }
    assert_eq!(config_ids.len(), 3, "what is remembered of one way of speaking is void for another");
}

#[tokio::test]
async fn an_address_for_listings_says_nothing_of_how_the_other_speaks() {
    let plane = Plane::start().await;
    let listed = FakeUpstream::builder().tool("a").era(Era::Stateless).start().await;
    let called = FakeUpstream::builder().tool("a").stateless().start().await;
    let request = creation("a", &called.url());
    let upstream = admin::Upstream { discovery_url: listed.url(), ..request.upstream.unwrap() };
    let request = admin::CreateUpstreamRequest { upstream: Some(upstream), ..Default::default() };
    plane.upstreams().create_upstream(request).await.unwrap();
    let mut nodes = crate::stream::Follower::open(&plane, "n1").await;
    nodes
        .until(|update| {
            let endpoints = update.changed.iter().filter_map(|domain| domain.endpoint.as_ref());
            endpoints
                .filter_map(|endpoint| endpoint.protocol.as_ref())
                .any(|protocol| protocol.era() == sync::Era::Handshake && !protocol.issues_sessions)
        })
        .await;
}

#[tokio::test]
async fn the_older_transport_is_refused_at_registration_with_words_that_help() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").era(Era::OldTransport).start().await;
    let refused = plane.upstreams().create_upstream(creation("a", &upstream.url())).await.unwrap_err();
    assert!(refused.message().contains("HTTP+SSE transport"), "{refused}");
    assert!(plane.get("a").await.is_err());
}

#[tokio::test]
async fn an_upstream_whose_row_cannot_be_read_is_not_refreshed_and_registering_it_again_mends_it() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    plane.create("broken", &upstream.url()).await;
    // A freeze that only the broken row knows of is not to outlive the tools that it was about.
    plane.raw("UPDATE upstreams SET session_mode = 'unknown', frozen_at = 1").await;
    let sound = FakeUpstream::builder().tool("x").start().await;
    let newest = plane.create("sound", &sound.url()).await.version;
    upstream.rename_tools(&["a", "b"]);
    upstream.clear();

    let request = admin::RefreshUpstreamsRequest::default();
    let answer = plane.upstreams().refresh_upstreams(request).await.unwrap().into_inner();
    let result = &answer.refreshed;
    assert_eq!(result[0].error, "its row cannot be read; register it again or remove it");
    assert_eq!((result[1].error.as_str(), upstream.count("tools/list")), ("", 0), "it is not even asked");
    assert_eq!(answer.version, newest, "nothing was changed");

    upstream.rename_tools(&["a"]);
    // What it is known as, with the tools it is known for: all the same the row is written.
    let request = crate::registration::request("broken", &upstream.url());
    plane.registration().register_server(request).await.unwrap();
    assert_eq!(plane.get("broken").await.unwrap().frozen_at_version, 0);
    upstream.rename_tools(&["a", "b"]);
    let result = refresh(&plane).await;
    assert_eq!((result[0].error.as_str(), &result[0].added), ("", &vec!["b".to_owned()]));
}
