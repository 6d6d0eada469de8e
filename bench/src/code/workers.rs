//! What a worker costs while it stands ready.

use std::fs;

use anyhow::Context as _;

use super::domains;
use crate::Setting;
use crate::call::figures::median;
use crate::call::subject::{Subject, Upstream};
use crate::report::{Section, Table};

/// How many stand ready.
const WORKERS: usize = 8;
/// What a worker is called in the list of processes.
const NAME: &str = "toolplane-code-mode";

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let on = [("GATEWAY_CODE_MODE", "true"), ("TOOLPLANE_CODE_MODE_READY_WORKERS", "8")];
    let node = Subject::standalone_with(setting, &upstream.domains(&domains()), &on).await?;
    let mut workers = Vec::new();
    while workers.len() < WORKERS {
        tokio::task::yield_now().await;
        workers = of_all()?;
    }
    drop(node);
    let column = |name: &str| median(workers.iter().map(|worker| worker.get(name)));
    let mut table = Table::new(&["memory of a worker that stands ready", "median of 8", "target"]);
    for (what, kibibytes, target) in [
        ("its own", column("Private_Clean:") + column("Private_Dirty:"), "≤ 3 MiB"),
        ("of that written to", column("Private_Dirty:"), ""),
        ("its share of everything (PSS)", column("Pss:"), ""),
        ("resident", column("Rss:"), ""),
    ] {
        table.row(vec![what.to_owned(), format!("{:.2} MiB", kibibytes / 1024.0), target.to_owned()]);
    }
    let method = "`/proc/PID/smaps_rollup` of eight workers of one node.".to_owned();
    Ok(Section { id: "code/memory", title: "Workers that stand ready".to_owned(), method, table })
}

/// The lines of one worker's rollup.
struct Rollup(String);

impl Rollup {
    fn get(&self, name: &str) -> f64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    }
}

fn of_all() -> anyhow::Result<Vec<Rollup>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("no /proc")? {
        let folder = entry?.path();
        let command = fs::read(folder.join("cmdline")).unwrap_or_default();
        if command.starts_with(NAME.as_bytes())
            && let Ok(text) = fs::read_to_string(folder.join("smaps_rollup"))
        {
            found.push(Rollup(text));
        }
    }
    Ok(found)
}
