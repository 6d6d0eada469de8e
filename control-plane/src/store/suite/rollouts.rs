//! Rollouts: one at a time, with a baseline that outlives retention, removals and changes of the registry.

use toolplane_registry::upstream::{Header, Upstream};
use toolplane_registry::{ErrorCode, OAuth, RawJson, Secret, Tls};

use super::{Bench, NOW, create, domain, listing, on_both_backends};
use crate::rollout::{Canary, Rollout};
use crate::store::history::History as _;
use crate::store::{Change, Error, Registry, Store as _};

on_both_backends!(
    a_rollout_is_read_with_the_registry_and_only_one_is_under_way,
    of_two_that_start_at_once_one_is_refused,
    a_baseline_has_the_tools_addresses_and_credentials_of_its_time,
    a_removed_upstream_leaves_the_baseline_for_good,
    an_abort_goes_back_in_the_version_that_ends_the_hold,
    an_abort_gives_no_tools_to_an_upstream_that_took_the_name_of_one_of_the_baseline,
    an_abort_that_a_broken_row_prevents_names_it_and_the_way_out,
    a_promotion_keeps_what_there_is,
    only_the_rollout_that_is_meant_is_ended,
    the_baseline_is_kept_however_many_versions_follow,
);

fn start(etag: &str) -> Change {
    let canary = Canary::new("ring", "canary").unwrap();
    Change::StartRollout { etag: etag.to_owned(), canary, actor: "tok_1".to_owned() }
}

fn put(name: &str, config_id: &str, tools: &[&str]) -> Change {
    Change::PutListing { domain: domain(name), config_id: config_id.to_owned(), listing: listing(tools) }
}

fn reached_at(name: &str, url: &str, secret: &str) -> Upstream {
    let headers = vec![Header { name: "x-key".to_owned(), value: Secret::new(secret.to_owned()) }];
    let tls = Tls { client_key: Some(Secret::new(secret.to_owned())), ..Tls::default() };
    let oauth = OAuth { client_secret: Some(Secret::new(secret.to_owned())), ..OAuth::default() };
    Upstream { headers, tls, oauth, ..Upstream::new(domain(name), url) }
}

fn replace(upstream: Upstream, config_id: &str, tools: &[&str]) -> Change {
    Change::ReplaceUpstream {
        upstream,
        config_id: config_id.to_owned(),
        expected: None,
        listing: Some(listing(tools)),
    }
}

/// Versions 1 to 3: apollo with a credential, hubspot, then a rollout `r1`.
async fn a_rollout(bench: &Bench) {
    let upstream = reached_at("apollo", "http://127.0.0.1:9/mcp", "good");
    let create_apollo = Change::CreateUpstream {
        upstream,
        config_id: "c1".to_owned(),
        listing: Some(listing(&[r#"{"name":"old"}"#])),
    };
    bench.commit(vec![create_apollo]).await.unwrap();
    bench.commit(vec![create("hubspot", "c2"), put("hubspot", "c2", &["{\"n\":1e400}"])]).await.unwrap();
    bench.commit(vec![start("r1")]).await.unwrap();
}

/// Per upstream: where it is, its credentials, its tools.
fn told(registry: &Registry) -> Vec<String> {
    registry
        .upstreams
        .iter()
        .map(|(domain, held)| {
            let secrets: String =
                held.upstream.headers.iter().map(|one| one.value.expose().as_str()).collect();
            let key = held.upstream.tls.client_key.as_ref().map(|key| key.expose().clone());
            assert_eq!(key.unwrap_or_default(), secrets, "TLS settings go wherever headers do");
            let secret = held.upstream.oauth.client_secret.as_ref().map(|secret| secret.expose().clone());
            assert_eq!(secret.unwrap_or_default(), secrets, "and so do client credentials");
            let tools =
                held.listing.as_ref().map(|listing| listing.tools.iter().map(RawJson::as_str).collect());
            let tools: String = tools.unwrap_or_else(|| "?".to_owned());
            format!("{domain} {} {secrets} {tools}", held.upstream.url)
        })
        .collect()
}

const APOLLO: &str = r#"apollo http://127.0.0.1:9/mcp good {"name":"old"}"#;
const HUBSPOT: &str = r#"hubspot http://127.0.0.1:9/mcp  {"n":1e400}"#;

async fn a_rollout_is_read_with_the_registry_and_only_one_is_under_way(bench: Bench) {
    a_rollout(&bench).await;
    let expected = Rollout {
        etag: "r1".to_owned(),
        canary: Canary::new("ring", "canary").unwrap(),
        baseline: 3,
        actor: "tok_1".to_owned(),
        started_at: NOW,
        upstreams: 2,
    };
    assert_eq!(bench.store.load().await.unwrap().rollout, Some(expected.clone()));
    let again = bench.open_again().await.unwrap();
    assert_eq!(again.rollout().await.unwrap(), Some(expected));
    let error = bench.commit(vec![start("r2")]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "a rollout is under way already: it holds every node without `ring=canary` at v3"
    );
    assert_eq!(bench.store.head().await.unwrap().number, 3, "what was refused made no version");
}

async fn of_two_that_start_at_once_one_is_refused(bench: Bench) {
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    let other = bench.open_again().await.unwrap();
    let theirs = super::commit(vec![start("r2")]);
    let (ours, theirs) = tokio::join!(bench.commit(vec![start("r1")]), other.commit(&theirs));
    let refused =
        [&ours, &theirs].into_iter().filter(|result| matches!(result, Err(Error::RolloutUnderWay { .. })));
    assert_eq!(refused.count(), 1, "{ours:?} {theirs:?}");
    let winner = if ours.is_ok() { "r1" } else { "r2" };
    assert_eq!(bench.store.rollout().await.unwrap().unwrap().etag, winner);
}

async fn a_baseline_has_the_tools_addresses_and_credentials_of_its_time(bench: Bench) {
    a_rollout(&bench).await;
    let before = bench.store.load_baseline("r1").await.unwrap().unwrap();
    assert_eq!((told(&before), before.head.number), (vec![APOLLO.to_owned(), HUBSPOT.to_owned()], 3));
    assert_eq!(before.upstreams["apollo"].config_id, "c1", "digests stay what they were");
    let moved = reached_at("apollo", "http://127.0.0.1:10/mcp", "bad");
    bench.commit(vec![replace(moved, "c3", &[r#"{"name":"bad"}"#]), create("late", "c4")]).await.unwrap();
    let after = bench.open_again().await.unwrap().load_baseline("r1").await.unwrap().unwrap();
    assert_eq!(after, before);
    assert_eq!(bench.store.load_baseline("r0").await.unwrap(), None);
}

async fn a_removed_upstream_leaves_the_baseline_for_good(bench: Bench) {
    a_rollout(&bench).await;
    bench.commit(vec![Change::DeleteUpstream { domain: domain("apollo"), expected: None }]).await.unwrap();
    let baseline = bench.store.load_baseline("r1").await.unwrap().unwrap();
    assert_eq!((told(&baseline), baseline.rollout.unwrap().upstreams), (vec![HUBSPOT.to_owned()], 1));
    assert!(
        bench
            .store
            .texts("SELECT domain FROM rollout_upstreams WHERE domain = 'apollo'")
            .await
            .unwrap()
            .is_empty()
    );
    // Under the same name again, it is another upstream.
    bench.commit(vec![create("apollo", "c9")]).await.unwrap();
    assert_eq!(told(&bench.store.load_baseline("r1").await.unwrap().unwrap()), [HUBSPOT]);
    bench.commit(vec![Change::DeleteUpstream { domain: domain("apollo"), expected: None }]).await.unwrap();
    bench.commit(vec![Change::AbortRollout { etag: "r1".to_owned() }]).await.unwrap();
    assert_eq!(told(&bench.store.load().await.unwrap()), [HUBSPOT], "it has no address to come back to");
}

async fn an_abort_goes_back_in_the_version_that_ends_the_hold(bench: Bench) {
    a_rollout(&bench).await;
    let moved = reached_at("apollo", "http://127.0.0.1:10/mcp", "bad");
    bench.commit(vec![replace(moved, "c3", &[r#"{"name":"bad"}"#])]).await.unwrap();
    bench.commit(vec![create("late", "c4"), put("late", "c4", &["{}"])]).await.unwrap();
    bench.commit(vec![Change::AbortRollout { etag: "r1".to_owned() }]).await.unwrap();
    let registry = bench.store.load().await.unwrap();
    assert_eq!(registry.rollout, None);
    assert_eq!(told(&registry), [APOLLO, HUBSPOT, "late http://127.0.0.1:9/mcp  "]);
    let frozen: Vec<_> = registry.upstreams.values().map(|one| one.frozen_at).collect();
    assert_eq!(frozen, [Some(3), None, Some(3)]);
    assert!(!["c1", "c3"].contains(&registry.upstreams["apollo"].config_id.as_str()));
    assert_eq!(registry.upstreams["hubspot"].config_id, "c2", "what did not change is left alone");
    let copies = bench.store.texts("SELECT domain FROM rollout_upstreams").await.unwrap();
    assert!(copies.is_empty(), "no credential outlives the rollout");
    let past = bench.store.load_version(registry.head.number).await.unwrap().unwrap();
    assert_eq!(past.domains["apollo"], bench.store.load_version(3).await.unwrap().unwrap().domains["apollo"]);
}

async fn an_abort_gives_no_tools_to_an_upstream_that_took_the_name_of_one_of_the_baseline(bench: Bench) {
    a_rollout(&bench).await;
    bench.commit(vec![Change::DeleteUpstream { domain: domain("apollo"), expected: None }]).await.unwrap();
    let elsewhere = Change::CreateUpstream {
        upstream: reached_at("apollo", "http://127.0.0.1:10/mcp", "other"),
        config_id: "c3".to_owned(),
        listing: Some(listing(&[r#"{"name":"untried"}"#])),
    };
    bench.commit(vec![elsewhere]).await.unwrap();
    bench.commit(vec![Change::AbortRollout { etag: "r1".to_owned() }]).await.unwrap();
    let registry = bench.store.load().await.unwrap();
    assert_eq!(told(&registry), ["apollo http://127.0.0.1:10/mcp other ", HUBSPOT]);
    assert_eq!(registry.upstreams["apollo"].frozen_at, Some(3), "nor does a refresh give it any");
}

async fn an_abort_that_a_broken_row_prevents_names_it_and_the_way_out(bench: Bench) {
    a_rollout(&bench).await;
    bench.raw("UPDATE upstreams SET denied_tools = 'no JSON' WHERE domain = 'hubspot'").await;
    let abort = || vec![Change::AbortRollout { etag: "r1".to_owned() }];
    let error = bench.commit(abort()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Conflict, "people are told");
    let error = error.to_string();
    assert!(error.starts_with("upstream `hubspot` cannot be read from the database"), "{error}");
    assert!(error.ends_with("nothing was changed; register it again or remove it first"), "{error}");
    bench.commit(vec![Change::DeleteUpstream { domain: domain("hubspot"), expected: None }]).await.unwrap();
    bench.commit(abort()).await.unwrap();
}

async fn a_promotion_keeps_what_there_is(bench: Bench) {
    a_rollout(&bench).await;
    bench.commit(vec![put("apollo", "c1", &[r#"{"name":"new"}"#])]).await.unwrap();
    let before = bench.store.load().await.unwrap();
    let head = bench.commit(vec![Change::PromoteRollout { etag: "r1".to_owned() }]).await.unwrap();
    let after = bench.store.load().await.unwrap();
    assert_eq!((after.rollout.as_ref(), after.head.number), (None, before.head.number + 1));
    assert_eq!((&after.upstreams, &after.head), (&before.upstreams, &head));
    assert!(bench.store.texts("SELECT domain FROM rollout_upstreams").await.unwrap().is_empty());
    bench.commit(vec![start("r2")]).await.unwrap();
    assert_eq!(bench.store.rollout().await.unwrap().unwrap().baseline, 6);
}

async fn only_the_rollout_that_is_meant_is_ended(bench: Bench) {
    bench.commit(vec![create("apollo", "c1")]).await.unwrap();
    let promote = |etag: &str| Change::PromoteRollout { etag: etag.to_owned() };
    let abort = |etag: &str| Change::AbortRollout { etag: etag.to_owned() };
    for change in [promote("r1"), abort("r1")] {
        let error = bench.commit(vec![change]).await.unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{error}");
    }
    bench.commit(vec![start("r1")]).await.unwrap();
    for change in [promote("r0"), abort("r0")] {
        let error = bench.commit(vec![change]).await.unwrap_err();
        assert!(matches!(&error, Error::Conflict { held, .. } if held == "r1"), "{error}");
    }
    assert!(bench.store.rollout().await.unwrap().is_some());
}

async fn the_baseline_is_kept_however_many_versions_follow(bench: Bench) {
    a_rollout(&bench).await;
    let baseline = bench.store.load_version(3).await.unwrap();
    for number in 0..4 {
        let tool = format!("{{\"number\":{number}}}");
        bench.commit(vec![put("apollo", "c1", &[&tool])]).await.unwrap();
        bench.store.prune_versions(1).await.unwrap();
    }
    let kept = |versions: Vec<crate::store::history::VersionRecord>| -> Vec<u64> {
        versions.iter().map(|version| version.number).collect()
    };
    assert_eq!(kept(bench.store.list_versions(None, 10).await.unwrap()), [7, 3]);
    assert_eq!(bench.store.load_version(3).await.unwrap(), baseline);
    assert_eq!(told(&bench.store.load_baseline("r1").await.unwrap().unwrap()), [APOLLO, HUBSPOT]);
    let contents = bench.store.texts("SELECT content FROM domain_contents").await.unwrap();
    assert_eq!(contents.len(), 3, "what is neither newest nor baseline is forgotten: {contents:?}");

    bench.commit(vec![Change::PromoteRollout { etag: "r1".to_owned() }]).await.unwrap();
    bench.store.prune_versions(1).await.unwrap();
    assert_eq!(kept(bench.store.list_versions(None, 10).await.unwrap()), [8]);
    assert_eq!(bench.store.texts("SELECT content FROM domain_contents").await.unwrap().len(), 2);
}
