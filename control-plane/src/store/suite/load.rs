//! Reading on from a state that was read before.

use toolplane_registry::{Domain, RawJson};

use super::{Bench, NOW, create, domain, listing, on_both_backends};
use crate::store::{Change, Registry, Store as _};

on_both_backends!(
    reading_on_from_any_earlier_state_gives_what_reading_everything_gives,
    reading_on_leaves_alone_what_has_not_changed,
    an_upstream_that_cannot_be_read_harms_no_other_and_stays_as_it_was_read_last,
    what_could_not_be_read_is_read_again_whatever_else_changes,
    tools_that_came_while_headers_could_not_be_opened_are_read_once_they_can,
    a_version_that_was_recorded_by_nobody_is_no_ground_to_read_on_from,
    a_restored_database_that_has_come_past_a_version_is_read_in_full,
);

/// Every kind of change, some of them made by a release that records nothing, and one of another history.
async fn reading_on_from_any_earlier_state_gives_what_reading_everything_gives(bench: Bench) {
    let put = |name: &str, tools: &[&str]| Change::PutListing {
        domain: domain(name),
        config_id: "c".to_owned(),
        listing: listing(tools),
    };
    let steps = [
        vec![create("a", "c"), create("b", "c"), put("a", &["1", "2"]), put("b", &["3"])],
        vec![put("a", &["1", "4"])],
        vec![Change::PutPolicy { policy: None, expected: None }],
        vec![Change::DeleteUpstream { domain: domain("b"), expected: None }],
        vec![create("b", "c"), put("b", &["3"])],
        vec![create("c", "c")],
        vec![Change::Restore { number: 1 }],
        vec![Change::RenewStore { store_id: "another".to_owned() }],
        vec![Change::ResumeUpstream { domain: domain("c") }],
    ];
    let mut earlier = vec![bench.store.load().await.unwrap()];
    for (number, step) in steps.into_iter().enumerate() {
        bench.commit(step).await.unwrap();
        if number == 3 {
            // As another release would have left it, with other tools than were there before.
            bench.raw("UPDATE snapshots SET recorded = FALSE WHERE version = 4").await;
            bench.raw("UPDATE tools SET definition = '5' WHERE domain = 'a'").await;
        }
        bench.store.record_attempt(&domain("c"), "c", NOW + 1, "").await.unwrap();
        let everything = bench.store.load().await.unwrap();
        for before in &earlier {
            let read = bench.store.load_after(before).await.unwrap();
            assert_eq!(read, everything, "step {number}, from {:?}", before.head);
        }
        earlier.push(everything);
    }
}

async fn reading_on_leaves_alone_what_has_not_changed(bench: Bench) {
    let with = |name: &str, tool: &str| {
        let change = create(name, "c");
        let Change::CreateUpstream { upstream, config_id, .. } = change else { unreachable!() };
        Change::CreateUpstream { upstream, config_id, listing: Some(listing(&[tool])) }
    };
    bench.commit(vec![with("a", "1")]).await.unwrap();
    let before = bench.store.load().await.unwrap();
    bench.commit(vec![with("b", "2")]).await.unwrap();
    // Nobody reads this again, or it would show.
    bench.raw("UPDATE tools SET definition = 'no JSON' WHERE domain = 'a'").await;
    let read = bench.store.load_after(&before).await.unwrap();
    let tools = |name: &str| read.upstreams.get(name).unwrap().listing.as_ref().unwrap().tools.clone();
    assert_eq!((tools("a"), tools("b")), (listing(&["1"]).tools, listing(&["2"]).tools));
    let anew = bench.store.load().await.unwrap();
    assert_eq!(anew.unreadable.keys().map(Domain::as_str).collect::<Vec<_>>(), ["a"]);
    assert_eq!(anew.upstreams.keys().map(Domain::as_str).collect::<Vec<_>>(), ["b"]);
}

async fn an_upstream_that_cannot_be_read_harms_no_other_and_stays_as_it_was_read_last(bench: Bench) {
    bench.commit(vec![create("a", "c"), create("b", "c")]).await.unwrap();
    let before = bench.store.load().await.unwrap();
    bench.raw("UPDATE upstreams SET denied_tools = 'no JSON' WHERE domain = 'a'").await;
    bench.commit(vec![create("c", "c")]).await.unwrap();
    let read = bench.store.load_after(&before).await.unwrap();
    assert_eq!(read.upstreams.keys().map(Domain::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(read.upstreams["a"], before.upstreams["a"]);
    assert!(read.unreadable.contains_key("a"), "it is known to be broken all the same");
    let started_anew = bench.store.load().await.unwrap();
    assert_eq!(started_anew.upstreams.keys().map(Domain::as_str).collect::<Vec<_>>(), ["b", "c"]);

    let Change::CreateUpstream { upstream, config_id, listing } = create("a", "c2") else { unreachable!() };
    let mend = Change::ReplaceUpstream { upstream, config_id, expected: None, listing };
    bench.commit(vec![mend]).await.unwrap();
    let mended = bench.store.load().await.unwrap();
    assert!(mended.unreadable.is_empty() && mended.upstreams.len() == 3, "{mended:?}");
}

fn with(name: &str, tools: &[&str]) -> Change {
    let Change::CreateUpstream { upstream, config_id, .. } = create(name, "c") else { unreachable!() };
    Change::CreateUpstream { upstream, config_id, listing: Some(listing(tools)) }
}

fn put(name: &str, tools: &[&str]) -> Change {
    Change::PutListing { domain: domain(name), config_id: "c".to_owned(), listing: listing(tools) }
}

fn tools(registry: &Registry, name: &str) -> Vec<RawJson> {
    registry.upstreams[name].listing.as_ref().unwrap().tools.clone()
}

async fn what_could_not_be_read_is_read_again_whatever_else_changes(bench: Bench) {
    bench.commit(vec![with("a", &["1"]), create("b", "c")]).await.unwrap();
    let sound = bench.store.load().await.unwrap();
    bench.commit(vec![put("a", &["2"])]).await.unwrap();
    bench.raw("UPDATE tools SET definition = 'no JSON' WHERE domain = 'a'").await;
    let kept = bench.store.load_after(&sound).await.unwrap();
    let left_out = bench.store.load().await.unwrap();
    assert!(kept.upstreams.contains_key("a") && !left_out.upstreams.contains_key("a"));

    bench.commit(vec![put("b", &["3"])]).await.unwrap();
    let everything = bench.store.load().await.unwrap();
    let read = bench.store.load_after(&kept).await.unwrap();
    assert_eq!(read.unreadable, everything.unreadable, "it is no sounder than it was");
    assert_eq!(read.upstreams["a"], sound.upstreams["a"], "known from when it could be read");
    assert_eq!(bench.store.load_after(&left_out).await.unwrap(), everything, "not served without its tools");

    bench.raw("UPDATE tools SET definition = '2' WHERE domain = 'a'").await;
    let mended = bench.store.load().await.unwrap();
    assert_eq!(tools(&mended, "a"), listing(&["2"]).tools);
    for before in [&kept, &left_out, &read] {
        assert_eq!(bench.store.load_after(before).await.unwrap(), mended);
    }
}

async fn tools_that_came_while_headers_could_not_be_opened_are_read_once_they_can(bench: Bench) {
    bench.commit(vec![with("a", &["1"])]).await.unwrap();
    let sound = bench.store.load().await.unwrap();
    bench.raw("UPDATE upstreams SET session_mode = 'unknown' WHERE domain = 'a'").await;
    bench.commit(vec![put("a", &["2"])]).await.unwrap();
    let kept = bench.store.load_after(&sound).await.unwrap();
    assert_eq!(tools(&kept, "a"), listing(&["1"]).tools);
    let Change::CreateUpstream { upstream, .. } = create("a", "c") else { unreachable!() };
    let listing = Some(listing(&["2"]));
    let again = Change::ReplaceUpstream { upstream, config_id: "c2".to_owned(), expected: None, listing };
    bench.commit(vec![again]).await.unwrap();
    let read = bench.store.load_after(&kept).await.unwrap();
    assert_eq!(read, bench.store.load().await.unwrap());
}

async fn a_version_that_was_recorded_by_nobody_is_no_ground_to_read_on_from(bench: Bench) {
    bench.commit(vec![with("a", &["1"])]).await.unwrap();
    // As a release that records nothing makes it.
    bench.raw("UPDATE head SET version = 2").await;
    bench.raw("INSERT INTO snapshots (version, created_at, actor, summary) VALUES (2, 2, '', '')").await;
    bench.raw("UPDATE tools SET definition = '2' WHERE domain = 'a'").await;
    let before = bench.store.load().await.unwrap();
    assert_eq!(tools(&before, "a"), listing(&["2"]).tools);
    bench.commit(vec![put("a", &["1"])]).await.unwrap();
    let read = bench.store.load_after(&before).await.unwrap();
    assert_eq!(tools(&read, "a"), listing(&["1"]).tools);
}

async fn a_restored_database_that_has_come_past_a_version_is_read_in_full(bench: Bench) {
    bench.commit(vec![with("a", &["1"]), create("b", "c")]).await.unwrap();
    bench.commit(vec![put("a", &["2"])]).await.unwrap();
    let before = bench.store.load().await.unwrap();
    // As if a backup of version 1 had been restored, and something else been committed since.
    bench.raw("UPDATE tools SET definition = '1' WHERE domain = 'a'").await;
    bench.raw("UPDATE snapshots SET created_at = created_at + 1 WHERE version = 2").await;
    bench.commit(vec![put("b", &["3"])]).await.unwrap();
    let read = bench.store.load_after(&before).await.unwrap();
    assert_eq!(tools(&read, "a"), listing(&["1"]).tools);
}
