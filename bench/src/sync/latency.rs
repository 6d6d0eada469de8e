//! From the moment a registration is due to the moment the last node serves it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::time::Instant;
use toolplane_proto::sync::RegisterServerRequest;

use super::NODES;
use crate::report::{Section, Table};
use crate::target::Target;
use crate::world::fleet::{ControlPlane, Fleet};
use crate::world::http;
use crate::world::registry::{Changed, Registry};

/// How hard a registry is worked.
#[derive(Debug)]
pub(super) struct Load {
    changes: usize,
    interval: Duration,
    /// For the p99 of what is served.
    target: Target,
}

pub(super) const SMALL: Load =
    Load { changes: 200, interval: Duration::from_millis(200), target: Target::at_most(250.0, " ms") };
pub(super) const LARGE: Load =
    Load { changes: 100, interval: Duration::from_millis(500), target: Target::at_most(1000.0, " ms") };

/// Every so many changes the nodes are asked for the changed tool, and the control plane for their confirmations.
const CHECK_EVERY: usize = 5;

pub(super) fn section() -> Section {
    let method = format!(
        "One control plane and {NODES} nodes, each a process. A change re-registers an upstream, one of whose tools \
         has a new description: the control plane lists the upstream, commits, publishes and streams. Changes are due \
         at a fixed rate whatever became of those before (open loop), and time runs from when a change was due. \
         *Served* ends when the last node has said, in its log, that it serves the version; every {CHECK_EVERY}th \
         time each node is then asked for the tool and has to answer with the new description. *Confirmed*, also \
         every {CHECK_EVERY}th time, ends when `WaitForVersion` says so: all nodes have it on disk as well. \
         CPU is processor time per change, which says more than time does where the machine is busy.",
    );
    let header = [
        "database",
        "tools",
        "changes",
        "served p50",
        "p99",
        "target p99",
        "confirmed p50",
        "p99",
        "CPU control plane",
        "CPU per node",
    ];
    Section {
        id: "sync/latency",
        title: "Register → served by all nodes".to_owned(),
        method,
        table: Table::new(&header),
    }
}

/// One row of the table.
pub(super) async fn measure(
    fleet: &Fleet,
    registry: &Registry,
    load: &Load,
    database: &str,
    table: &mut Table,
) -> anyhow::Result<()> {
    let before = used(fleet)?;
    let start = Instant::now() + Duration::from_millis(100);
    let changes = (0..load.changes).map(|number| {
        let due = start + load.interval * u32::try_from(number).unwrap_or(u32::MAX);
        one(fleet, registry, number, due)
    });
    let (mut served, mut confirmed) = (histogram()?, histogram()?);
    for times in futures::future::try_join_all(changes).await? {
        served.saturating_record(micros(times.served));
        if let Some(time) = times.confirmed {
            confirmed.saturating_record(micros(time));
        }
    }
    let after = used(fleet)?;
    let p99 = value(&served, 0.99);
    let per_change = |seconds: f64| format!("{:.0} ms", seconds * 1000.0 / float(load.changes));
    table.row(vec![
        database.to_owned(),
        registry.tools().to_string(),
        format!("{}, {}/s", load.changes, 1.0 / load.interval.as_secs_f64()),
        millis(&served, 0.5),
        millis(&served, 0.99),
        load.target.verdict(p99),
        millis(&confirmed, 0.5),
        millis(&confirmed, 0.99),
        per_change(after.0 - before.0),
        per_change((after.1 - before.1) / float(fleet.nodes.len())),
    ]);
    Ok(())
}

/// Seconds of processor time: of the control plane, and of all nodes together.
fn used(fleet: &Fleet) -> anyhow::Result<(f64, f64)> {
    let nodes = fleet.nodes.iter().map(|node| Ok(node.process.usage()?.cpu)).sum::<anyhow::Result<f64>>()?;
    Ok((fleet.control_plane.process.usage()?.cpu, nodes))
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn float(count: usize) -> f64 {
    count as f64
}

struct Times {
    served: Duration,
    confirmed: Option<Duration>,
}

async fn one(fleet: &Fleet, registry: &Registry, number: usize, due: Instant) -> anyhow::Result<Times> {
    tokio::time::sleep_until(due).await;
    let changed = registry.change(number)?;
    let version = register(&fleet.control_plane, &changed).await?;
    let served = async {
        for node in &fleet.nodes {
            node.serves(version).await?;
        }
        anyhow::Ok(due.elapsed())
    };
    if !number.is_multiple_of(CHECK_EVERY) {
        return Ok(Times { served: served.await?, confirmed: None });
    }
    let confirmed = async {
        fleet.control_plane.confirmed(version, fleet.nodes.len()).await?;
        anyhow::Ok(due.elapsed())
    };
    let (served, confirmed) = tokio::try_join!(served, confirmed)?;
    check(fleet, &changed).await?;
    Ok(Times { served, confirmed: Some(confirmed) })
}

/// What a node passes on for a controller; returns the version that holds the change.
pub(super) async fn register(control_plane: &ControlPlane, changed: &Changed) -> anyhow::Result<u64> {
    let request = RegisterServerRequest {
        credential: control_plane.credential()?,
        domain: changed.domain.clone(),
        url: changed.url.clone(),
        ..Default::default()
    };
    let answer = control_plane.registration().register_server(request).await?.into_inner();
    Ok(answer.version.context("a version")?.number)
}

/// The nodes serve what they say they serve.
async fn check(fleet: &Fleet, changed: &Changed) -> anyhow::Result<()> {
    let arguments = format!(r#"{{"tool_name":"{}_{}"}}"#, changed.domain, changed.tool);
    for node in &fleet.nodes {
        let answer = http::meta_tool(&node.url, "get_tool_schema", &arguments).await?;
        ensure!(answer.contains(&changed.mark), "a node does not serve what it said it does: {answer}");
    }
    Ok(())
}

/// Microseconds, up to ten minutes, with three digits.
pub(super) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(600_000_000, 3)?)
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// In milliseconds.
#[expect(clippy::cast_precision_loss, reason = "microseconds of a benchmark are far below 2^52")]
pub(super) fn value(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1000.0
}

pub(super) fn millis(times: &Histogram<u64>, quantile: f64) -> String {
    let time = value(times, quantile);
    if time < 10.0 { format!("{time:.1} ms") } else { format!("{time:.0} ms") }
}
