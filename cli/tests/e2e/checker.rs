//! Whether a fleet kept its promises, whatever was done to it.
//!
//! Waits for convergence by events, then compares what clients were told with what is there: every confirmed
//! change, and nothing that nobody asked for; the same snapshot, by its digest, on every node; versions that never
//! went back; no call that failed for a reason of ours.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fleet::history::{History, State};
use crate::fleet::{BASE, Fleet, Member, served};
use crate::harness::{register, until};

/// The domain that a fleet is asked to take when everything is over.
const LAST: &str = "the_last";

/// Checks everything. All processes that are not gone for good have to run.
#[expect(clippy::print_stdout, reason = "says how much was checked")]
pub(crate) async fn check(fleet: &Fleet, mut history: History) {
    println!("{} changes confirmed; calls answered by node: {:?}", history.confirmed, history.reads);
    println!("{} changes in doubt: {:#?}", history.in_doubt.len(), history.in_doubt);
    assert!(history.failures.is_empty(), "{} failures: {:#?}", history.failures.len(), history.failures);
    let latest = converged(fleet).await;
    history.assume(LAST);
    history.assume(BASE);
    let stored = stored(fleet).await;
    assert_possible(&history, &stored);
    for (index, node) in running(&fleet.nodes) {
        let served = served(&fleet.roster.url(index)).await.expect("the node serves");
        assert_eq!(served, stored, "{} serves something else than is stored", node.name);
    }
    assert_same_snapshots(fleet, latest).await;
}

/// Makes one more change and waits until every node that runs serves it; the version.
async fn converged(fleet: &Fleet) -> u64 {
    let (first, _) = running(&fleet.nodes).next().expect("a node that runs");
    until("a change is taken again", async || {
        let answer = register(&fleet.roster.url(first), LAST, &fleet.upstream.url()).await;
        answer.is_some_and(|(code, _)| code == 200)
    })
    .await;
    let names: Vec<&str> = running(&fleet.nodes).map(|(_, node)| node.name.as_str()).collect();
    until("every node follows", async || {
        let (code, nodes, _) = fleet.operator(&["node", "list", "--output", "json"]).await;
        let nodes: Value = serde_json::from_str(&nodes).unwrap_or_default();
        let is_connected = |name: &&str| {
            let mut listed = nodes["nodes"].as_array().into_iter().flatten();
            listed.any(|node| node["node_id"] == **name && node["connected"] == true)
        };
        code == 0 && names.iter().all(is_connected)
    })
    .await;
    let waited = fleet.ask(&["snapshot", "wait", "--timeout", "30"]).await;
    assert_eq!(
        (&waited["reached"], &waited["serving"]),
        (&Value::from(true), &Value::from(names.len())),
        "{waited}"
    );
    waited["version"].as_u64().expect("a version")
}

/// What is registered, with the descriptions.
async fn stored(fleet: &Fleet) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let upstreams = fleet.ask(&["upstream", "list"]).await;
    let upstreams = upstreams.as_array().expect("upstreams").iter();
    upstreams.map(|one| (text(&one["domain"]), text(&one["description"]))).collect()
}

/// Whatever is there was asked for, and whatever was confirmed is there.
fn assert_possible(history: &History, stored: &BTreeMap<String, String>) {
    let mut wrong = Vec::new();
    for (domain, possible) in &history.domains {
        let found: State = stored.get(domain).cloned();
        if !possible.contains(&found) {
            wrong.push(format!("`{domain}` is {found:?} and may be {possible:?}"));
        }
    }
    let unknown = stored.keys().filter(|domain| !history.domains.contains_key(*domain));
    wrong.extend(unknown.map(|domain| format!("`{domain}` comes from nowhere")));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every version that any node ever served was the same everywhere, and none came after a later one.
async fn assert_same_snapshots(fleet: &Fleet, latest: u64) {
    let digests = published(fleet, latest).await;
    let mut known = digests.clone();
    for node in &fleet.nodes {
        let lives: Vec<Vec<Seen>> = node.lives().iter().map(|log| seen(log)).collect();
        assert_forward(&node.name, &lives);
        for Seen { version, digest } in lives.iter().flatten() {
            let same = known.entry(*version).or_insert_with(|| digest.clone());
            assert_eq!(same, digest, "version {version} of {} differs", node.name);
        }
    }
    for (_, node) in running(&fleet.nodes) {
        let last = node.lives().last().and_then(|log| seen(log).pop()).expect("it served something");
        assert_eq!(last.version, latest, "{}", node.name);
        assert_eq!(Some(&last.digest), digests.get(&latest), "{}", node.name);
    }
}

/// The digests that control planes published, by version. That of the newest is noted behind its publication.
async fn published(fleet: &Fleet, latest: u64) -> BTreeMap<u64, String> {
    let mut digests = BTreeMap::new();
    until("the newest version has its digest", async || {
        let versions = fleet.ask(&["snapshot", "list", "--limit", "5000"]).await;
        let versions = versions.as_array().expect("versions").iter();
        let noted = versions.filter_map(|one| {
            Some((one["version"].as_u64().expect("a number"), one["digest"].as_str()?.to_owned()))
        });
        digests = noted.collect();
        digests.contains_key(&latest)
    })
    .await;
    digests
}

/// A version that a node began to serve.
struct Seen {
    version: u64,
    digest: String,
}

/// What one life of a node served, in order, as its log says.
fn seen(log: &[Value]) -> Vec<Seen> {
    let began = |record: &&Value| {
        let message = record["message"].as_str().unwrap_or_default();
        message == "serving a new snapshot" || message == "serving last-known-good"
    };
    let read = |record: &Value| Seen {
        version: record["snapshot.version"]
            .as_str()
            .and_then(|version| version.strip_prefix('v')?.parse().ok())
            .unwrap_or_else(|| panic!("no version in {record}")),
        digest: record["snapshot.digest"].as_str().expect("a digest").to_owned(),
    };
    log.iter().filter(began).map(read).collect()
}

/// A process never goes back. One that was killed may not have kept its newest version, but the one before it: that
/// was on disk before it took the next.
fn assert_forward(name: &str, lives: &[Vec<Seen>]) {
    let mut least = 0;
    for life in lives {
        let versions: Vec<u64> = life.iter().map(|seen| seen.version).collect();
        assert!(versions.is_sorted(), "{name} went back: {versions:?}");
        let first = versions.first().copied().unwrap_or(least);
        assert!(first >= least, "{name} began at {first} and had kept {least}");
        least = versions.iter().rev().nth(1).copied().unwrap_or(first).max(least);
    }
}

fn running(members: &[Member]) -> impl Iterator<Item = (usize, &Member)> {
    members.iter().enumerate().filter(|(_, member)| member.process.is_some())
}
