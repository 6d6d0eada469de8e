//! Versions: what is kept of them, what is forgotten, what a rollback brings back.

use std::collections::BTreeMap;

use toolplane_registry::policy::AccessPolicy;
use toolplane_registry::upstream::{Header, SchemaPolicy, ToolFilter, Upstream};
use toolplane_registry::{Digest, RawJson, Rejection, Rule, Secret};

use super::{Bench, NOW, create, domain, listing, on_both_backends};
use crate::store::history::{History as _, Publication, Refusal};
use crate::store::{Change, Error, Head, Listing, Policy, Store as _};

on_both_backends!(
    every_version_keeps_what_each_domain_offered,
    a_content_is_kept_once_and_holds_no_secret,
    versions_made_without_history_are_not_taken_for_known,
    a_rollback_brings_tools_filters_and_policy_back_and_freezes,
    a_rollback_to_what_is_not_kept_changes_nothing,
    a_listing_under_way_does_not_undo_a_rollback,
    what_nodes_and_publications_show_is_noted_beside_the_version,
    only_the_newest_versions_are_kept,
);

fn put(name: &str, config_id: &str, tools: &[&str]) -> Change {
    Change::PutListing { domain: domain(name), config_id: config_id.to_owned(), listing: listing(tools) }
}

fn policy(glob: &str) -> Change {
    let deny = BTreeMap::from([("apollo".to_owned(), vec![glob.to_owned()])]);
    let access = AccessPolicy { deny, ..AccessPolicy::default() };
    Change::PutPolicy { policy: Some(Policy { access, etag: glob.to_owned() }), expected: None }
}

fn raw(text: &str) -> RawJson {
    RawJson::parse(text).unwrap()
}

/// Versions 1 to 4: apollo appears, lists one tool, lists another; hubspot appears with a policy.
async fn four_versions(bench: &Bench) {
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    bench.commit(vec![put("apollo", "c1", &[r#"{"name":"old"}"#])]).await.unwrap();
    bench.commit(vec![put("apollo", "c1", &[r#"{"name":"new"}"#])]).await.unwrap();
    bench
        .commit(vec![create("hubspot", "c2"), put("hubspot", "c2", &["{\"n\": 1e400}"]), policy("new*")])
        .await
        .unwrap();
}

async fn every_version_keeps_what_each_domain_offered(bench: Bench) {
    four_versions(&bench).await;
    bench.commit(vec![Change::DeleteUpstream { domain: domain("apollo"), expected: None }]).await.unwrap();
    let mut told = Vec::new();
    for number in 1..=5 {
        let past = bench.store.load_version(number).await.unwrap().unwrap();
        let tools = past.domains.into_iter().map(|(domain, past)| {
            let tools = past.tools.map(|tools| tools.iter().map(RawJson::as_str).collect::<String>());
            format!("{domain}:{}", tools.unwrap_or_else(|| "?".to_owned()))
        });
        told.push((tools.collect::<Vec<_>>().join(" "), past.policy.is_some()));
    }
    let expected = [
        ("apollo:?", false),
        (r#"apollo:{"name":"old"}"#, false),
        (r#"apollo:{"name":"new"}"#, false),
        (r#"apollo:{"name":"new"} hubspot:{"n": 1e400}"#, true),
        (r#"hubspot:{"n": 1e400}"#, true),
    ];
    assert_eq!(told, expected.map(|(text, policy)| (text.to_owned(), policy)));
    assert_eq!(bench.store.load_version(6).await.unwrap(), None);
}

async fn a_content_is_kept_once_and_holds_no_secret(bench: Bench) {
    let headers =
        vec![Header { name: "authorization".to_owned(), value: Secret::new("Bearer s3cr3t".to_owned()) }];
    let upstream = Upstream { headers, ..Upstream::new(domain("apollo"), "http://user-of-apollo:9/mcp") };
    let create =
        Change::CreateUpstream { upstream, config_id: "c1".to_owned(), listing: Some(listing(&["{}"])) };
    bench.commit(vec![create]).await.unwrap();
    bench.commit(vec![put("apollo", "c1", &[])]).await.unwrap();
    bench.commit(vec![put("apollo", "c1", &["{}"])]).await.unwrap();
    bench.commit(vec![put("apollo", "c1", &["{}"])]).await.unwrap();
    let contents = bench.store.texts("SELECT content FROM domain_contents").await.unwrap();
    assert_eq!(contents.len(), 2);
    assert!(contents.iter().all(|text| !text.contains("s3cr3t") && !text.contains("user-of-apollo")));
    let rows = bench.store.texts("SELECT domain FROM domain_history").await.unwrap();
    assert_eq!(rows.len(), 3, "a version that changes nothing of a domain costs no row");
}

async fn versions_made_without_history_are_not_taken_for_known(bench: Bench) {
    four_versions(&bench).await;
    // As if a release before this one had made version 4, and removed an upstream with it.
    bench.raw("UPDATE snapshots SET recorded = FALSE WHERE version = 4").await;
    bench.raw("DELETE FROM upstreams WHERE domain = 'apollo'").await;
    bench.commit(vec![create("other", "c3")]).await.unwrap();
    assert_eq!(bench.store.load_version(4).await.unwrap(), None);
    let past = bench.store.load_version(5).await.unwrap().unwrap();
    assert_eq!(past.domains.keys().map(ToString::to_string).collect::<Vec<_>>(), ["hubspot", "other"]);
    let versions = bench.store.list_versions(None, 10).await.unwrap();
    let known: Vec<_> = versions.iter().map(|version| (version.number, version.recorded)).collect();
    assert_eq!(known, [(5, true), (4, false), (3, true), (2, true), (1, true)]);
}

async fn a_rollback_brings_tools_filters_and_policy_back_and_freezes(bench: Bench) {
    let filter = ToolFilter { allowed: Some(vec!["a*".to_owned()]), denied: vec!["b".to_owned()] };
    let upstream = Upstream {
        filter: filter.clone(),
        schema_policy: SchemaPolicy::Pin,
        ..Upstream::new(domain("apollo"), "http://127.0.0.1:9/mcp")
    };
    let old = Listing { approved: Some(vec![raw("{}")]), ..listing(&["{\"name\":\"a\"}"]) };
    let change = Change::CreateUpstream { upstream, config_id: "c1".to_owned(), listing: Some(old.clone()) };
    bench.commit(vec![change, policy("old"), create("same", "c2"), create("gone", "c3")]).await.unwrap();
    let moved = Upstream::new(domain("apollo"), "http://127.0.0.1:10/mcp");
    let replace = Change::ReplaceUpstream {
        upstream: moved.clone(),
        config_id: "c4".to_owned(),
        expected: None,
        listing: Some(listing(&["{\"name\":\"b\"}"])),
    };
    let delete = Change::DeleteUpstream { domain: domain("gone"), expected: None };
    let late = [create("late", "c5"), put("late", "c5", &["{}"])];
    let mut changes = vec![replace, delete, policy("new")];
    changes.extend(late);
    bench.commit(changes).await.unwrap();

    bench.commit(vec![Change::Restore { number: 1 }]).await.unwrap();
    let registry = bench.store.load().await.unwrap();
    let apollo = &registry.upstreams["apollo"];
    assert_eq!(apollo.upstream, Upstream { filter, schema_policy: SchemaPolicy::Pin, ..moved });
    assert_eq!((apollo.listing.as_ref(), apollo.frozen_at), (Some(&old), Some(1)));
    assert_ne!(apollo.config_id, "c4");
    let same = &registry.upstreams["same"];
    assert_eq!((same.frozen_at, same.config_id.as_str()), (None, "c2"));
    let late = &registry.upstreams["late"];
    assert_eq!((late.listing.clone().unwrap().tools, late.frozen_at), (Vec::new(), Some(1)));
    assert_eq!(registry.policy.unwrap().access.deny["apollo"], ["old"]);
    assert_eq!(registry.upstreams.len(), 3, "what was removed has no address to come back to");
    let past = bench.store.load_version(3).await.unwrap().unwrap();
    assert_eq!(past.domains["apollo"], bench.store.load_version(1).await.unwrap().unwrap().domains["apollo"]);

    bench.commit(vec![Change::ResumeUpstream { domain: domain("apollo") }]).await.unwrap();
    assert_eq!(bench.store.load().await.unwrap().upstreams["apollo"].frozen_at, None);
}

async fn a_rollback_to_what_is_not_kept_changes_nothing(bench: Bench) {
    four_versions(&bench).await;
    let before = bench.store.load().await.unwrap();
    let error = bench.commit(vec![Change::Restore { number: 9 }]).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    assert_eq!(bench.store.load().await.unwrap(), before);
}

async fn a_listing_under_way_does_not_undo_a_rollback(bench: Bench) {
    four_versions(&bench).await;
    bench.commit(vec![Change::Restore { number: 2 }]).await.unwrap();
    let error = bench.commit(vec![put("apollo", "c1", &[r#"{"name":"new"}"#])]).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

async fn what_nodes_and_publications_show_is_noted_beside_the_version(bench: Bench) {
    four_versions(&bench).await;
    let Head { store_id, .. } = bench.store.head().await.unwrap();
    let publication = Publication { digest: Digest::of(b"x"), domains: 2, tools: 7 };
    let head = |number| Head { store_id: store_id.clone(), number };
    bench.store.note_published(&head(3), publication).await.unwrap();
    bench.store.note_published(&head(3), Publication { tools: 8, ..publication }).await.unwrap();
    let strange = Head { store_id: "other".to_owned(), number: 2 };
    bench.store.note_published(&strange, publication).await.unwrap();
    let refusal = |number, node_id: &str, reason: &str| Refusal {
        number,
        node_id: node_id.to_owned(),
        at: NOW,
        rejections: vec![Rejection::new("tool `a`", Rule::Schema, reason)],
    };
    for (number, node_id, reason) in
        [(3, "n2", "first"), (3, "n1", "bad"), (3, "n2", "again"), (99, "n1", "x")]
    {
        bench.store.note_refusal(&store_id, &refusal(number, node_id, reason)).await.unwrap();
    }
    bench.store.note_refusal("other", &refusal(2, "n1", "x")).await.unwrap();

    let versions = bench.store.list_versions(Some(4), 2).await.unwrap();
    let told: Vec<_> = versions.iter().map(|version| (version.number, version.publication)).collect();
    assert_eq!(told, [(3, Some(publication)), (2, None)]);
    assert_eq!(versions[0].refusals, [refusal(3, "n1", "bad"), refusal(3, "n2", "again")]);
    assert!(versions[1].refusals.is_empty());
    assert_eq!(versions[0].summary, "upstream.change: upstream apollo");
}

async fn only_the_newest_versions_are_kept(bench: Bench) {
    four_versions(&bench).await;
    let newest = bench.store.load_version(4).await.unwrap();
    bench.store.prune_versions(4).await.unwrap();
    assert!(bench.store.load_version(1).await.unwrap().is_some());
    bench.store.prune_versions(2).await.unwrap();
    let kept: Vec<u64> =
        bench.store.list_versions(None, 10).await.unwrap().iter().map(|version| version.number).collect();
    assert_eq!(kept, [4, 3]);
    assert_eq!(bench.store.load_version(2).await.unwrap(), None);
    assert_eq!(bench.store.load_version(4).await.unwrap(), newest);
    let contents = bench.store.texts("SELECT content FROM domain_contents").await.unwrap();
    assert!(contents.len() == 2 && contents.iter().all(|text| !text.contains("old")), "{contents:?}");
    bench.store.prune_versions(1).await.unwrap();
    assert_eq!(bench.store.load_version(4).await.unwrap(), newest);
    bench.commit(vec![put("apollo", "c1", &["{}"])]).await.unwrap();
    let past = bench.store.load_version(5).await.unwrap().unwrap();
    assert_eq!(past.domains.len(), 2);
}
