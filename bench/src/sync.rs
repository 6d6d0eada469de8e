//! From a registration to a fleet that serves it: how long, how many bytes, at what price.
//!
//! Four small modules measure one thing each; this one decides which of them share a fleet, because filling a
//! registry with 10,000 tools takes longer than most of what is measured on it.

mod cold_start;
mod delta;
mod latency;
mod streams;

use futures::FutureExt as _;
use toolplane_testkit::TestDatabase;

use crate::Setting;
use crate::group::{Group, Part};
use crate::report::Section;
use crate::world::fleet::Fleet;
use crate::world::registry::Registry;

const NODES: usize = 8;
const DOMAINS: usize = 200;
const TOOLS_PER_DOMAIN: usize = 50;

/// From a registration to a fleet that serves it.
pub(crate) const GROUP: Group = Group {
    name: "sync",
    record: "sync/run",
    // One part, because they share a fleet; it looks by itself for what is wanted of it.
    parts: &[Part {
        name: "latency, delta, streams, cold-start",
        expected: 480,
        run: |setting| run(setting).boxed_local(),
    }],
};

/// Measures all of it.
async fn run(setting: &Setting) -> anyhow::Result<Vec<Section>> {
    let (mut latency, mut sections) = (latency::section(), Vec::new());
    // The fleet of the last one is used up: Postgres where there is one, as a fleet would have it.
    let mut databases = vec![("SQLite", TestDatabase::sqlite())];
    databases.extend(TestDatabase::postgres().await.map(|database| ("Postgres", database)));
    let mut databases = databases.into_iter().peekable();
    while let Some((name, database)) = databases.next() {
        if setting.wants("latency") {
            let registry = Registry::corpus().await?;
            let fresh =
                if name == "SQLite" { Some(TestDatabase::sqlite()) } else { TestDatabase::postgres().await };
            if let Some(database) = fresh {
                let mut fleet = fill(setting, &database, &registry).await?;
                fleet.grow(NODES).await?;
                latency::measure(&fleet, &registry, &latency::SMALL, name, &mut latency.table).await?;
            }
        }
        let is_last = databases.peek().is_none();
        let wanted: Vec<&str> =
            if is_last { vec!["latency", "delta", "streams", "cold"] } else { vec!["latency"] };
        if !wanted.iter().any(|part| setting.wants(part)) {
            continue;
        }
        let registry = Registry::generated(DOMAINS, TOOLS_PER_DOMAIN).await?;
        let mut fleet = fill(setting, &database, &registry).await?;
        if setting.wants("latency") {
            fleet.grow(NODES).await?;
            latency::measure(&fleet, &registry, &latency::LARGE, name, &mut latency.table).await?;
            fleet.dismiss_nodes().await?;
        }
        if is_last && setting.wants("delta") {
            sections.push(delta::run(&fleet, &registry).await?);
        }
        if is_last && setting.wants("streams") {
            sections.push(streams::run(&fleet, &registry, name).await?);
        }
        if is_last && setting.wants("cold") {
            sections.push(cold_start::run(fleet, registry.tools()).await?);
        }
    }
    if setting.wants("latency") {
        sections.insert(0, latency);
    }
    Ok(sections)
}

/// A fleet without nodes whose control plane holds the registry.
async fn fill(setting: &Setting, database: &TestDatabase, registry: &Registry) -> anyhow::Result<Fleet> {
    let started = tokio::time::Instant::now();
    let fleet = Fleet::start(&setting.binary, database.url()).await?;
    registry.register(&fleet.control_plane).await?;
    eprintln!("registered {} tools in {:.1} s", registry.tools(), started.elapsed().as_secs_f64());
    Ok(fleet)
}
