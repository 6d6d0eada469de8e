//! What control planes on one database agree on: claims on upstreams, leases, and who speaks for a node.

use std::collections::BTreeMap;

use toolplane_registry::Version;

use super::{Bench, NOW, create, domain, listing, on_both_backends};
use crate::store::{Change, Claim, Millis, NodeRecord, RefreshClaim, Store as _};

const MINUTE: Millis = 60_000;

on_both_backends!(
    what_was_never_asked_is_claimed_once,
    a_claim_of_one_that_died_runs_out,
    a_claim_ends_with_a_listing_an_attempt_or_its_release,
    what_was_asked_longest_ago_is_claimed_first,
    what_failed_is_due_earlier_than_what_answered,
    times_that_no_right_clock_wrote_hold_nothing_back,
    claimants_at_once_never_get_the_same_upstream,
    a_lease_runs_out_and_is_kept_for_as_long_as_a_node_hangs_on_it,
    the_stream_that_took_over_last_speaks_for_a_node,
    a_stream_that_comes_on_record_late_gives_way_to_a_later_one_elsewhere,
    a_node_is_claimed_again_by_its_stream_when_an_older_one_came_on_record_late,
    nodes_are_written_together_or_not_at_all,
);

/// What is due on an interval of a minute, at a time, for one control plane.
fn claim(control_plane: &str, now: Millis) -> RefreshClaim {
    RefreshClaim {
        control_plane: control_plane.to_owned(),
        now,
        not_asked_since: now - MINUTE,
        not_answered_since: Millis::MAX,
        lease: 10_000,
        limit: 10,
    }
}

async fn claimed(bench: &Bench, claim: &RefreshClaim) -> Vec<String> {
    let claimed = bench.store.claim_refresh(claim).await.unwrap();
    claimed.iter().map(ToString::to_string).collect()
}

async fn create_listed(bench: &Bench, name: &str, at: Millis) {
    let Change::CreateUpstream { upstream, config_id, .. } = create(name, "c1") else { unreachable!() };
    let listing = Some(crate::store::Listing { attempt_at: at, success_at: Some(at), ..listing(&["{}"]) });
    bench.commit(vec![Change::CreateUpstream { upstream, config_id, listing }]).await.unwrap();
}

async fn what_was_never_asked_is_claimed_once(bench: Bench) {
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    let never = |who| RefreshClaim { not_asked_since: Millis::MIN, ..claim(who, NOW) };
    assert_eq!(claimed(&bench, &never("a")).await, ["apollo"]);
    assert!(claimed(&bench, &never("b")).await.is_empty());
    assert!(claimed(&bench, &never("a")).await.is_empty(), "not even by whoever holds it");
}

async fn a_claim_of_one_that_died_runs_out(bench: Bench) {
    create_listed(&bench, "apollo", NOW - MINUTE).await;
    assert_eq!(claimed(&bench, &claim("a", NOW)).await, ["apollo"]);
    assert!(claimed(&bench, &claim("b", NOW + 9_999)).await.is_empty());
    assert_eq!(claimed(&bench, &claim("b", NOW + 10_000)).await, ["apollo"]);
}

async fn a_claim_ends_with_a_listing_an_attempt_or_its_release(bench: Bench) {
    create_listed(&bench, "apollo", NOW - MINUTE).await;
    let later = || RefreshClaim { not_asked_since: NOW + MINUTE, ..claim("b", NOW + 1) };
    assert_eq!(claimed(&bench, &claim("a", NOW)).await, ["apollo"]);
    bench.store.record_attempt(&domain("apollo"), "another", NOW, "").await.unwrap();
    assert!(claimed(&bench, &later()).await.is_empty(), "an attempt at another configuration is none");
    bench.store.record_attempt(&domain("apollo"), "c1", NOW, "").await.unwrap();
    assert!(claimed(&bench, &claim("b", NOW + 1)).await.is_empty(), "it is not due any more");
    assert_eq!(claimed(&bench, &later()).await, ["apollo"]);
    let listed = listing(&["{}"]);
    let change = Change::PutListing { domain: domain("apollo"), config_id: "c1".to_owned(), listing: listed };
    bench.commit(vec![change]).await.unwrap();
    assert_eq!(claimed(&bench, &later()).await, ["apollo"]);
    bench.store.release_refresh("a").await.unwrap();
    assert!(claimed(&bench, &later()).await.is_empty(), "it is another's");
    bench.store.release_refresh("b").await.unwrap();
    assert_eq!(claimed(&bench, &later()).await, ["apollo"]);
}

async fn what_was_asked_longest_ago_is_claimed_first(bench: Bench) {
    create_listed(&bench, "younger", NOW - MINUTE).await;
    create_listed(&bench, "older", NOW - 2 * MINUTE).await;
    create_listed(&bench, "fresh", NOW - MINUTE + 1).await;
    bench.commit(vec![create("never", "c1")]).await.unwrap();
    let two = RefreshClaim { limit: 2, ..claim("a", NOW) };
    let mut first = claimed(&bench, &two).await;
    first.sort();
    assert_eq!(first, ["never", "older"]);
    assert_eq!(claimed(&bench, &two).await, ["younger"]);
}

async fn what_failed_is_due_earlier_than_what_answered(bench: Bench) {
    create_listed(&bench, "answered", NOW - 1).await;
    create_listed(&bench, "failed", NOW - MINUTE).await;
    bench.store.record_attempt(&domain("failed"), "c1", NOW - 1, "away").await.unwrap();
    let start = RefreshClaim { not_asked_since: NOW, not_answered_since: NOW - MINUTE, ..claim("a", NOW) };
    assert_eq!(claimed(&bench, &start).await, ["failed"]);
}

async fn times_that_no_right_clock_wrote_hold_nothing_back(bench: Bench) {
    let ahead = NOW + 365 * 24 * 60 * MINUTE;
    create_listed(&bench, "apollo", ahead).await;
    assert_eq!(claimed(&bench, &claim("a", NOW)).await, ["apollo"], "asked in the future");
    bench.store.release_refresh("a").await.unwrap();
    assert_eq!(claimed(&bench, &claim("a", ahead + MINUTE)).await, ["apollo"]);
    assert_eq!(claimed(&bench, &claim("b", NOW)).await, ["apollo"], "claimed until the far future");
    bench.store.renew_lease("ahead", 5 * 60 * MINUTE).await.unwrap();
    let control_planes = bench.store.list_control_planes().await.unwrap();
    assert!(!control_planes[0].alive, "what a clock that was set back leaves behind");
}

async fn claimants_at_once_never_get_the_same_upstream(bench: Bench) {
    for n in 0..20 {
        create_listed(&bench, &format!("u{n:02}"), NOW - MINUTE).await;
    }
    let others = [bench.open_again().await.unwrap(), bench.open_again().await.unwrap()];
    let claimants = others.iter().chain([&bench.store]).enumerate().map(|(n, store)| async move {
        let claim = RefreshClaim { limit: 3, ..claim(&format!("cp{n}"), NOW) };
        let mut all = Vec::new();
        for _ in 0..20 {
            all.extend(store.claim_refresh(&claim).await.unwrap());
        }
        all
    });
    let mut all = futures::future::join_all(claimants).await.concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 20);
    assert_eq!(bench.store.texts("SELECT domain FROM refresh_claims").await.unwrap().len(), 20);
}

async fn a_lease_runs_out_and_is_kept_for_as_long_as_a_node_hangs_on_it(bench: Bench) {
    bench.store.renew_lease("gone", 0).await.unwrap();
    bench.store.put_nodes(&[(node("dead", 1), Claim::Opened)]).await.unwrap();
    bench.store.renew_lease("dead", 0).await.unwrap();
    bench.store.renew_lease("here", 600_000).await.unwrap();
    let known = bench.store.list_control_planes().await.unwrap();
    let known: Vec<_> = known.iter().map(|one| (one.id.as_str(), one.alive)).collect();
    assert_eq!(known, [("dead", false), ("here", true)]);
    bench.store.renew_lease("dead", 600_000).await.unwrap();
    assert!(bench.store.list_control_planes().await.unwrap().iter().all(|one| one.alive));
}

async fn the_stream_that_took_over_last_speaks_for_a_node(bench: Bench) {
    let put =
        async |record: &NodeRecord, claim| bench.store.put_nodes(&[(record.clone(), claim)]).await.unwrap();
    let (old, new) = (node("a", 7), NodeRecord { build: "new".to_owned(), ..node("b", 7) });
    put(&old, Claim::Opened).await;
    put(&new, Claim::Opened).await;
    put(&NodeRecord { disconnected_at: Some(NOW), ..old }, Claim::Held).await;
    assert_eq!(bench.store.list_nodes().await.unwrap(), std::slice::from_ref(&new), "the old stream's end");
    let acked = NodeRecord { acked_at: Some(NOW), ..new };
    put(&acked, Claim::Held).await;
    assert_eq!(bench.store.list_nodes().await.unwrap(), std::slice::from_ref(&acked));
    let again = NodeRecord { stream: 8, ..acked.clone() };
    put(&again, Claim::Held).await;
    put(&acked, Claim::Held).await;
    assert_eq!(bench.store.list_nodes().await.unwrap(), [again], "an older stream of the same control plane");
}

async fn a_stream_that_comes_on_record_late_gives_way_to_a_later_one_elsewhere(bench: Bench) {
    let connected = |control_plane, at| NodeRecord { connected_at: at, ..node(control_plane, 1) };
    let ended = |record: NodeRecord| NodeRecord { disconnected_at: Some(NOW + 9), ..record };
    let (earlier, later) = (connected("a", NOW + 1), connected("a", NOW + 3));
    let there = connected("b", NOW + 2);
    let table = [
        (there.clone(), earlier.clone(), false),
        (there.clone(), later.clone(), true),
        // It has ended, and the other one has not.
        (there.clone(), ended(later), false),
        (ended(there.clone()), earlier.clone(), true),
        (ended(there), ended(earlier), true),
    ];
    for (held, late, speaks) in table {
        bench.store.put_nodes(&[(held.clone(), Claim::Opened), (late.clone(), Claim::Late)]).await.unwrap();
        let expected = if speaks { &late } else { &held };
        assert_eq!(bench.store.list_nodes().await.unwrap(), std::slice::from_ref(expected), "{late:?}");
    }
}

async fn a_node_is_claimed_again_by_its_stream_when_an_older_one_came_on_record_late(bench: Bench) {
    let connected = |control_plane, at| NodeRecord { connected_at: at, ..node(control_plane, 1) };
    let ended = |record: NodeRecord| NodeRecord { disconnected_at: Some(NOW + 9), ..record };
    let (older, own, newer) = (connected("a", NOW + 1), connected("b", NOW + 2), connected("a", NOW + 3));
    let table = [
        (older.clone(), own.clone(), true),
        (ended(older.clone()), own.clone(), true),
        (ended(newer.clone()), own.clone(), true),
        (newer, own.clone(), false),
        // Its own end takes nothing over.
        (older, ended(own.clone()), false),
    ];
    for (late, next, speaks) in table {
        for record in
            [(own.clone(), Claim::Opened), (late.clone(), Claim::Opened), (next.clone(), Claim::Held)]
        {
            bench.store.put_nodes(&[record]).await.unwrap();
        }
        let expected = if speaks { &next } else { &late };
        assert_eq!(bench.store.list_nodes().await.unwrap(), std::slice::from_ref(expected), "{late:?}");
    }
}

async fn nodes_are_written_together_or_not_at_all(bench: Bench) {
    let named = |id: &str| NodeRecord { id: id.to_owned(), ..node("a", 1) };
    let nodes: Vec<_> = ["n1", "n2", "n3"].map(|id| (named(id), Claim::Opened)).into();
    bench.raw("CREATE UNIQUE INDEX no_two_alike ON nodes (build)").await;
    bench.store.put_nodes(&nodes).await.unwrap_err();
    assert_eq!(bench.store.list_nodes().await.unwrap(), []);
    bench.raw("DROP INDEX no_two_alike").await;
    bench.store.put_nodes(&nodes).await.unwrap();
    assert_eq!(bench.store.list_nodes().await.unwrap().len(), 3);
}

fn node(control_plane: &str, stream: u64) -> NodeRecord {
    NodeRecord {
        id: "node-a".to_owned(),
        control_plane: control_plane.to_owned(),
        stream,
        build: "0.1.0".to_owned(),
        labels: BTreeMap::new(),
        version: Version::none(),
        digest: String::new(),
        connected_at: NOW,
        disconnected_at: None,
        acked_at: None,
        persisted: true,
        rejections: Vec::new(),
    }
}
