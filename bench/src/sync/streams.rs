//! What connected nodes cost the control plane.

use std::time::Duration;

use tokio::time::Instant;

use super::latency::{histogram, micros, millis, register};
use crate::report::{Section, Table};
use crate::world::fleet::Fleet;
use crate::world::follower::Followers;
use crate::world::registry::Registry;

const STREAMS: [usize; 3] = [1, 8, 200];
const IDLE: Duration = Duration::from_secs(5);
const CHANGES: usize = 10;
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(fleet: &Fleet, registry: &Registry, database: &str) -> anyhow::Result<Section> {
    let header =
        ["nodes", "RSS idle", "CPU idle", "RSS, 1 change/s", "peak RSS", "CPU per change", "held by all p50"];
    let mut table = Table::new(&header);
    let mut followers = Followers::default();
    let mut number = 0;
    for streams in STREAMS {
        let version = fleet.control_plane.newest().await?;
        while followers.len() < streams {
            followers.add(&fleet.control_plane, version).await?;
        }
        tokio::time::sleep(INTERVAL).await;
        let before = fleet.control_plane.process.usage()?;
        tokio::time::sleep(IDLE).await;
        let idle = fleet.control_plane.process.usage()?;
        let mut times = histogram()?;
        let mut due = Instant::now();
        for _ in 0..CHANGES {
            tokio::time::sleep_until(due).await;
            let changed = registry.change(number)?;
            number += 1;
            let version = register(&fleet.control_plane, &changed).await?;
            followers.hold(version).await?;
            times.saturating_record(micros(due.elapsed()));
            due += INTERVAL;
        }
        tokio::time::sleep_until(due).await;
        let after = fleet.control_plane.process.usage()?;
        let changes = u32::try_from(CHANGES).map_or(1.0, f64::from);
        table.row(vec![
            streams.to_string(),
            format!("{:.0} MiB", idle.rss),
            format!("{:.1} %", (idle.cpu - before.cpu) / IDLE.as_secs_f64() * 100.0),
            format!("{:.0} MiB", after.rss),
            format!("{:.0} MiB", after.peak),
            format!("{:.0} ms", (after.cpu - idle.cpu) / changes * 1000.0),
            millis(&times, 0.5),
        ]);
    }
    let method = format!(
        "A registry of {} tools on {database}. The nodes are the client's side of the sync stream, each on a \
         connection of its own, which take, decode and confirm everything at once; they share the machine with the \
         control plane. They arrive one after the other, each without anything. Idle is {} s without a change; then \
         {CHANGES} changes, one a second. 100 % is one processor; RSS and peak are those of the control plane alone.",
        registry.tools(),
        IDLE.as_secs()
    );
    Ok(Section {
        id: "sync/streams",
        title: "Control plane: memory and CPU by connected nodes".to_owned(),
        method,
        table,
    })
}
