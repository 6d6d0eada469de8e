//! From starting a node to its readiness, with nobody to ask.

use tokio::time::Instant;

use super::latency::{histogram, micros, millis, value};
use crate::report::{Section, Table};
use crate::target::Target;
use crate::world::fleet::{Fleet, Node};

/// For the slowest.
const TARGET: Target = Target::at_most(1000.0, " ms");
const STARTS: usize = 20;
const NAME: &str = "cold";

pub(super) async fn run(fleet: Fleet, tools: usize) -> anyhow::Result<Section> {
    let node = Node::started(fleet.node(NAME, &fleet.control_plane.address)?).await?;
    let newest = fleet.control_plane.newest().await?;
    // Confirmed means that it is on disk.
    fleet.control_plane.confirmed(newest, 1).await?;
    let kept = fleet.path(NAME).join("node/last-good.bin");
    let size = std::fs::metadata(&kept)?.len();
    node.process.kill().await?;
    let orphan = fleet.lose_control_plane().await?;
    let mut times = histogram()?;
    let mut usage = None;
    for _ in 0..STARTS {
        let started = Instant::now();
        let node = Node::started(orphan.node(NAME)?).await?;
        times.saturating_record(micros(started.elapsed()));
        usage = Some(node.process.usage()?);
        node.process.kill().await?;
    }
    let mut table = Table::new(&[
        "tools",
        "file",
        "starts",
        "ready p50",
        "slowest",
        "target",
        "node RSS",
        "processor time",
    ]);
    table.row(vec![
        tools.to_string(),
        format!("{:.1} MiB", mebibytes(size)),
        STARTS.to_string(),
        millis(&times, 0.5),
        millis(&times, 1.0),
        TARGET.verdict(value(&times, 1.0)),
        usage.map(|usage| format!("{:.0} MiB", usage.rss)).unwrap_or_default(),
        usage.map(|usage| format!("{:.0} ms", usage.cpu * 1000.0)).unwrap_or_default(),
    ]);
    let method =
        "Control plane and database are gone. Time runs from starting the process to the first 200 of \
                  `/readyz`; the file is in the page cache."
            .to_owned();
    Ok(Section {
        id: "sync/cold-start",
        title: "Cold start of a node from its disk".to_owned(),
        method,
        table,
    })
}

#[expect(clippy::cast_precision_loss, reason = "file sizes are far below 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
