//! What a worker costs while it stands ready.

use std::fs;

use super::{domains, worker};
use crate::Setting;
use crate::call::figures::median;
use crate::call::subject::{Subject, Upstream};
use crate::report::{Section, Table};
use crate::target::Target;

/// How many stand ready.
const WORKERS: usize = 8;
const OWN: Target = Target::at_most(3.0, " MiB");

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let on = [("GATEWAY_CODE_MODE", "true"), ("TOOLPLANE_CODE_MODE_READY_WORKERS", "8")];
    let node = Subject::standalone_with(setting, &upstream.domains(&domains()), &on).await?;
    let mut workers = Vec::new();
    while workers.len() < WORKERS {
        tokio::task::yield_now().await;
        workers = rollups(&node)?;
    }
    drop(node);
    let column = |name: &str| median(workers.iter().map(|worker| worker.get(name)));
    let mut table = Table::new(&["memory of a worker that stands ready", "median of 8", "target"]);
    for (what, kibibytes, target) in [
        ("its own", column("Private_Clean:") + column("Private_Dirty:"), Some(OWN)),
        ("of that written to", column("Private_Dirty:"), None),
        ("its share of everything (PSS)", column("Pss:"), None),
        ("resident", column("Rss:"), None),
    ] {
        let mebibytes = kibibytes / 1024.0;
        let verdict = target.map(|target| target.verdict(mebibytes)).unwrap_or_default();
        table.row(vec![what.to_owned(), format!("{mebibytes:.2} MiB"), verdict]);
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

/// Of every worker of a node.
fn rollups(node: &Subject) -> anyhow::Result<Vec<Rollup>> {
    let texts =
        worker::all(node)?.into_iter().map(|id| fs::read_to_string(format!("/proc/{id}/smaps_rollup")));
    Ok(texts.flatten().map(Rollup).collect())
}
