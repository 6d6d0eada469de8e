//! Commits and what is read back.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use toolplane_registry::oauth::AuthMethod;
use toolplane_registry::policy::AccessPolicy;
use toolplane_registry::upstream::{Header, Owner, SchemaPolicy, SessionMode, ToolFilter, Upstream};
use toolplane_registry::{ErrorCode, Limits, OAuth, Protocol, RawJson, Secret, Tls};

use super::{Bench, NOW, commit, create, domain, listing, on_both_backends};
use crate::store::{Change, Error, Listing, Policy, Registered, Store as _};

on_both_backends!(
    a_new_store_is_empty_at_version_zero,
    everything_about_an_upstream_survives,
    an_upstream_cannot_be_created_twice,
    changing_what_is_not_there_is_not_found,
    a_stale_etag_is_a_conflict_that_names_both,
    replacing_keeps_the_first_time_and_replaces_the_listing,
    deleting_takes_listing_and_tools_along,
    a_listing_replaces_the_one_before,
    the_policy_is_set_replaced_and_removed,
    parts_of_a_commit_see_each_other,
    a_failed_commit_leaves_no_trace,
    concurrent_commits_get_distinct_ordered_versions,
    what_is_loaded_is_one_version_while_others_commit,
    an_attempt_is_noted_without_a_version,
    an_attempt_with_another_configuration_is_ignored,
    attempts_and_commits_do_not_disturb_each_other,
    every_commit_is_a_row_of_the_history,
);

fn elaborate() -> Upstream {
    Upstream {
        domain: domain("Zitefy MCP \"Sérver\""),
        url: "https://mcp.example.com/mcp".to_owned(),
        discovery_url: Some("http://127.0.0.1:9/list".to_owned()),
        description: "a CRM\nwith 'quotes'".to_owned(),
        headers: vec![
            Header { name: "authorization".to_owned(), value: Secret::new("Bearer s3cr3t".to_owned()) },
            Header { name: "x-team".to_owned(), value: Secret::new("ä".to_owned()) },
        ],
        forward_headers: Some(vec!["x-*".to_owned()]),
        filter: ToolFilter { allowed: Some(Vec::new()), denied: vec!["delete_*".to_owned()] },
        schema_policy: SchemaPolicy::Pin,
        session_mode: SessionMode::Shared,
        limits: Limits { timeout: Some(Duration::from_secs(7)), max_queue: Some(0), ..Limits::default() },
        tls: Tls {
            ca: Some(Secret::new("their ca".to_owned())),
            client_key: Some(Secret::new("our key".to_owned())),
            ..Tls::default()
        },
        oauth: OAuth {
            token_url: "https://login.example.com/token".to_owned(),
            client_id: "gateway".to_owned(),
            client_secret: Some(Secret::new("client s3cr3t".to_owned())),
            scope: Some("tools.read".to_owned()),
            resource: None,
            auth_method: AuthMethod::Post,
        },
        owner: Owner::Environment,
    }
}

async fn a_new_store_is_empty_at_version_zero(bench: Bench) {
    let registry = bench.store.load().await.unwrap();
    assert_eq!((registry.head.number, registry.head.store_id.len()), (0, 32));
    assert!(registry.upstreams.is_empty() && registry.policy.is_none());
    assert_eq!(bench.store.head().await.unwrap(), registry.head);
}

async fn everything_about_an_upstream_survives(bench: Bench) {
    let upstream = elaborate();
    let listing = Listing {
        success_at: None,
        error: "connection refused".to_owned(),
        approved: Some(vec![RawJson::parse(r#"{"name":"approved"}"#).unwrap()]),
        protocol: Protocol::parse("2025-03-26 with sessions"),
        ..listing(&["{\"name\": \"z\\u0000\\\"\", \"n\": 1e400}", r#"{"name":"a","é":[1.0]}"#, "null"])
    };
    let change = Change::CreateUpstream {
        upstream: upstream.clone(),
        config_id: "c1".to_owned(),
        listing: Some(listing.clone()),
    };
    let head = bench.commit(vec![change, create("plain", "c2")]).await.unwrap();

    let registry = bench.store.load().await.unwrap();
    assert_eq!((registry.head.clone(), head.number), (head, 1));
    let kept = registry.upstreams.get(&upstream.domain).unwrap();
    let expected = Registered {
        upstream,
        config_id: "c1".to_owned(),
        created_at: NOW,
        updated_at: NOW,
        frozen_at: None,
        listing: Some(listing),
    };
    assert_eq!(*kept, expected);
    let plain = registry.upstreams.get("plain").unwrap();
    assert_eq!(plain.upstream, Upstream::new(domain("plain"), "http://127.0.0.1:9/mcp"));
    assert_eq!(plain.listing, None);
}

async fn an_upstream_cannot_be_created_twice(bench: Bench) {
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    let error = bench.commit(vec![create("apollo", "c2")]).await.unwrap_err();
    assert!(matches!(&error, Error::AlreadyExists(subject) if subject == "upstream `apollo`"), "{error}");
    assert_eq!(error.code(), ErrorCode::AlreadyExists);
    assert_eq!(error.to_string(), "upstream `apollo` already exists");
    assert_eq!(bench.store.load().await.unwrap().upstreams["apollo"].config_id, "c1");
}

fn replace(name: &str, config_id: &str, expected: Option<&str>) -> Change {
    Change::ReplaceUpstream {
        upstream: Upstream::new(domain(name), "http://127.0.0.1:10/mcp"),
        config_id: config_id.to_owned(),
        expected: expected.map(str::to_owned),
        listing: None,
    }
}

fn delete(name: &str, expected: Option<&str>) -> Change {
    Change::DeleteUpstream { domain: domain(name), expected: expected.map(str::to_owned) }
}

fn put_listing(name: &str, config_id: &str, tools: &[&str]) -> Change {
    Change::PutListing { domain: domain(name), config_id: config_id.to_owned(), listing: listing(tools) }
}

fn put_policy(etag: Option<&str>, expected: Option<&str>) -> Change {
    let allow = BTreeMap::from([("apollo".to_owned(), vec!["apollo_*".to_owned(), "\"x\"".to_owned()])]);
    let access = AccessPolicy { allow, ..AccessPolicy::default() };
    let policy = etag.map(|etag| Policy { access, etag: etag.to_owned() });
    Change::PutPolicy { policy, expected: expected.map(str::to_owned) }
}

async fn changing_what_is_not_there_is_not_found(bench: Bench) {
    for change in
        [replace("apollo", "c2", None), delete("apollo", Some("c1")), put_listing("apollo", "c1", &[])]
    {
        let error = bench.commit(vec![change]).await.unwrap_err();
        assert!(matches!(&error, Error::NotFound(subject) if subject == "upstream `apollo`"), "{error}");
        assert_eq!(error.code(), ErrorCode::NotFound);
    }
}

async fn a_stale_etag_is_a_conflict_that_names_both(bench: Bench) {
    bench.commit(vec![create("apollo", "c2"), put_policy(Some("c2"), Some(""))]).await.unwrap();
    for change in [
        replace("apollo", "c3", Some("c1")),
        delete("apollo", Some("c1")),
        put_listing("apollo", "c1", &["{}"]),
        put_policy(None, Some("c1")),
    ] {
        let error = bench.commit(vec![change]).await.unwrap_err();
        let Error::Conflict { held, expected, .. } = &error else { panic!("{error}") };
        assert_eq!((held.as_str(), expected.as_str()), ("c2", "c1"));
        assert_eq!(error.code(), ErrorCode::Conflict);
    }
    assert_eq!(bench.store.head().await.unwrap().number, 1);
    bench.commit(vec![replace("apollo", "c3", Some("c2")), delete("apollo", Some("c3"))]).await.unwrap();
}

async fn replacing_keeps_the_first_time_and_replaces_the_listing(bench: Bench) {
    bench.commit(vec![create("apollo", "c1"), put_listing("apollo", "c1", &["{}"])]).await.unwrap();
    let mut later = commit(vec![replace("apollo", "c2", None)]);
    later.at = NOW + 5;
    bench.store.commit(&later).await.unwrap();
    let kept = &bench.store.load().await.unwrap().upstreams["apollo"];
    assert_eq!((kept.created_at, kept.updated_at, kept.config_id.as_str()), (NOW, NOW + 5, "c2"));
    assert_eq!(kept.upstream.url, "http://127.0.0.1:10/mcp");
    assert_eq!(kept.listing, None);
}

async fn deleting_takes_listing_and_tools_along(bench: Bench) {
    bench.commit(vec![create("apollo", "c1"), put_listing("apollo", "c1", &["{}"])]).await.unwrap();
    bench.commit(vec![delete("apollo", None)]).await.unwrap();
    assert!(bench.store.load().await.unwrap().upstreams.is_empty());
    bench.commit(vec![create("apollo", "c2")]).await.unwrap();
    assert_eq!(bench.store.load().await.unwrap().upstreams["apollo"].listing, None);
}

async fn a_listing_replaces_the_one_before(bench: Bench) {
    let many: Vec<String> = (0..300).map(|i| format!("{{\"name\":\"t{i}\"}}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    bench.commit(vec![create("apollo", "c1"), put_listing("apollo", "c1", &many)]).await.unwrap();
    assert_eq!(bench.store.load().await.unwrap().upstreams["apollo"].listing, Some(listing(&many)));
    let nothing_approved = Listing { approved: Some(Vec::new()), ..listing(&["{\"name\":\"b\"}"]) };
    let change = Change::PutListing {
        domain: domain("apollo"),
        config_id: "c1".to_owned(),
        listing: nothing_approved.clone(),
    };
    bench.commit(vec![change]).await.unwrap();
    let kept = bench.store.load().await.unwrap().upstreams["apollo"].clone();
    assert_eq!(kept.listing, Some(nothing_approved));
    assert_eq!((kept.config_id.as_str(), kept.updated_at), ("c1", NOW));
}

async fn the_policy_is_set_replaced_and_removed(bench: Bench) {
    bench.commit(vec![put_policy(Some("p1"), None)]).await.unwrap();
    let policy = bench.store.load().await.unwrap().policy.unwrap();
    let Change::PutPolicy { policy: Some(put), .. } = put_policy(Some("p1"), None) else { unreachable!() };
    assert_eq!(policy, put);
    bench.commit(vec![put_policy(Some("p2"), Some("p1"))]).await.unwrap();
    assert_eq!(bench.store.load().await.unwrap().policy.unwrap().etag, "p2");
    bench.commit(vec![put_policy(None, Some("p2"))]).await.unwrap();
    assert_eq!(bench.store.load().await.unwrap().policy, None);
    assert_eq!(bench.commit(vec![put_policy(None, None)]).await.unwrap().number, 4);
}

async fn parts_of_a_commit_see_each_other(bench: Bench) {
    let changes = vec![
        create("apollo", "c1"),
        replace("apollo", "c2", Some("c1")),
        put_listing("apollo", "c2", &["{}"]),
        delete("apollo", Some("c2")),
        create("apollo", "c3"),
    ];
    assert_eq!(bench.commit(changes).await.unwrap().number, 1);
    assert_eq!(bench.store.load().await.unwrap().upstreams["apollo"].config_id, "c3");
}

async fn a_failed_commit_leaves_no_trace(bench: Bench) {
    bench.commit(vec![create("apollo", "c1"), put_listing("apollo", "c1", &["{}"])]).await.unwrap();
    let before = bench.store.load().await.unwrap();
    let changes = vec![
        create("hubspot", "c1"),
        put_listing("apollo", "c1", &["{}", "{}"]),
        put_policy(Some("p1"), None),
        delete("gone", None),
    ];
    bench.commit(changes).await.unwrap_err();
    assert_eq!(bench.store.load().await.unwrap(), before);
    assert_eq!(bench.store.list_audit(None, 100).await.unwrap().len(), 1);
    assert_eq!(bench.store.texts("SELECT summary FROM snapshots").await.unwrap().len(), 1);
    assert_eq!(bench.commit(vec![create("hubspot", "c1")]).await.unwrap().number, 2, "no number is lost");
}

async fn concurrent_commits_get_distinct_ordered_versions(bench: Bench) {
    let other = bench.open_again().await.unwrap();
    let commits: Vec<_> = (0..24).map(|i| commit(vec![create(&format!("d{i}"), "c1")])).collect();
    let running = commits.iter().enumerate().map(|(i, commit)| {
        let store = if i % 2 == 0 { &bench.store } else { &other };
        store.commit(commit)
    });
    let mut numbers: Vec<u64> =
        join_all(running).await.into_iter().map(|outcome| outcome.unwrap().number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=24).collect::<Vec<_>>());
    let mut audited: Vec<u64> =
        bench.store.list_audit(None, 100).await.unwrap().iter().map(|record| record.version).collect();
    audited.reverse();
    assert_eq!(audited, numbers, "audit records are in the order of the versions");
    assert_eq!(other.load().await.unwrap().upstreams.len(), 24);
}

async fn what_is_loaded_is_one_version_while_others_commit(bench: Bench) {
    let other = bench.open_again().await.unwrap();
    let writing = async {
        for i in 0..80 {
            let name = format!("d{i}");
            other
                .commit(&commit(vec![create(&name, "c1"), put_listing(&name, "c1", &["{}"])]))
                .await
                .unwrap();
        }
    };
    let reading = async {
        loop {
            let registry = bench.store.load().await.unwrap();
            assert_eq!(registry.upstreams.len() as u64, registry.head.number);
            assert!(registry.upstreams.values().all(|kept| kept.listing == Some(listing(&["{}"]))));
            if registry.head.number == 80 {
                break;
            }
        }
    };
    tokio::join!(writing, reading);
}

async fn an_attempt_is_noted_without_a_version(bench: Bench) {
    let apollo = domain("apollo");
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    bench.store.record_attempt(&apollo, "c1", NOW + 1, "connection refused").await.unwrap();
    let kept = bench.store.load().await.unwrap().upstreams["apollo"].listing.clone().unwrap();
    let expected = Listing {
        attempt_at: NOW + 1,
        success_at: None,
        error: "connection refused".to_owned(),
        protocol: Protocol::Unknown,
        ..listing(&[])
    };
    assert_eq!(kept, expected);

    bench.commit(vec![put_listing("apollo", "c1", &["{}"])]).await.unwrap();
    bench.store.record_attempt(&apollo, "c1", NOW + 2, "timeout").await.unwrap();
    let kept = bench.store.load().await.unwrap().upstreams["apollo"].listing.clone().unwrap();
    let expected = Listing { attempt_at: NOW + 2, error: "timeout".to_owned(), ..listing(&["{}"]) };
    assert_eq!(kept, expected, "tools and the time of the last answer stay");

    bench.store.record_attempt(&apollo, "c1", NOW + 3, "").await.unwrap();
    let registry = bench.store.load().await.unwrap();
    let expected = Listing { attempt_at: NOW + 3, success_at: Some(NOW + 3), ..listing(&["{}"]) };
    assert_eq!(registry.upstreams["apollo"].listing, Some(expected));
    assert_eq!(registry.head.number, 2);
}

async fn an_attempt_with_another_configuration_is_ignored(bench: Bench) {
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    let before = bench.store.load().await.unwrap();
    bench.store.record_attempt(&domain("apollo"), "c0", NOW + 1, "timeout").await.unwrap();
    bench.store.record_attempt(&domain("gone"), "c1", NOW + 1, "timeout").await.unwrap();
    assert_eq!(bench.store.load().await.unwrap(), before);
}

async fn attempts_and_commits_do_not_disturb_each_other(bench: Bench) {
    let other = bench.open_again().await.unwrap();
    let apollo = domain("apollo");
    let committing = async {
        for _ in 0..15 {
            bench.commit(vec![create("apollo", "c1")]).await.unwrap();
            bench.commit(vec![put_listing("apollo", "c1", &["{}"])]).await.unwrap();
            bench.commit(vec![delete("apollo", None)]).await.unwrap();
        }
    };
    let attempting = async {
        for i in 0..60 {
            other.record_attempt(&apollo, "c1", NOW + i, "timeout").await.unwrap();
        }
    };
    tokio::join!(committing, attempting);
    assert_eq!(bench.store.head().await.unwrap().number, 45);
}

async fn every_commit_is_a_row_of_the_history(bench: Bench) {
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    let mut big = commit(Vec::new());
    big.audit = vec![super::entry("upstream.delete"); 10];
    bench.store.commit(&big).await.unwrap();
    big.audit.clear();
    bench.store.commit(&big).await.unwrap();
    let rows = bench
        .store
        .texts(
            "SELECT CAST(version AS TEXT) || ' ' || actor || ' ' || summary FROM snapshots ORDER BY version",
        )
        .await
        .unwrap();
    assert_eq!(rows[0], "1 tok_1 upstream.change: upstream apollo");
    assert!(rows[1].starts_with("2 tok_1 upstream.delete: ") && rows[1].ends_with(" and 2 more"), "{rows:?}");
    assert_eq!(rows[2], "3 system ");
}
