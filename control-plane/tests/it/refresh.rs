use std::time::Duration;

use toolplane_proto::admin;
use toolplane_testkit::fake_upstream::{FakeUpstream, Fault};

use crate::harness::Plane;

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
