//! How much memory a node takes under load, and whether that grows with the number of calls.

use super::calls;
use super::generator;
use super::registries;
use super::subject::{Subject, Upstream};
use crate::Setting;
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era};

const CONNECTIONS: usize = 256;
const SECONDS: f64 = 5.0;
/// How many calls show whether memory grows.
const MILLION: u64 = 1_000_000;
/// After so many the node has what it needs; growth counts from there.
const WARM: u64 = 100_000;

/// Memory with 527 tools, at rest and under load; with `is_long`, over a million calls.
pub(super) async fn run(setting: &Setting, upstream: &Upstream, is_long: bool) -> anyhow::Result<Section> {
    let mut domains = upstream.domains(&registries::corpus());
    let fixture = (Era::Stateless.name().to_owned(), Era::Stateless, FIXTURE.to_owned());
    domains[Era::Stateless.name()] = upstream.domains(&[fixture])[Era::Stateless.name()].clone();
    let node = Subject::standalone(setting, &domains).await?;
    let mut table =
        Table::new(&["calls so far", "calls/s", "RSS", "most so far", "since 100,000 calls", "target"]);
    let mut row = |calls: u64, rate: Option<f64>, since: Option<f64>| -> anyhow::Result<f64> {
        let usage = node.usage()?;
        table.row(vec![
            calls.to_string(),
            rate.map(|rate| format!("{rate:.0}")).unwrap_or_default(),
            format!("{:.1} MiB", usage.rss),
            format!("{:.1} MiB", usage.peak),
            since.map(|since| format!("{:+.1} MiB", usage.rss - since)).unwrap_or_default(),
            match (calls, since) {
                (0, _) => String::new(),
                (_, None) => "≤ 60 MiB".to_owned(),
                (_, Some(_)) => "no growth".to_owned(),
            },
        ]);
        Ok(usage.rss)
    };
    row(0, None, None)?;
    let (mut calls, mut warm, mut shown) = (0, None, 0);
    let (million, enough) = (setting.count(MILLION), setting.count(WARM));
    loop {
        let request = calls::execute(node.asked, Era::Stateless, &Callable::Small.tool(Era::Stateless));
        let mut plan = node.plan(Era::Stateless, FIXTURE, request, ANSWER_MARK);
        plan.connections = CONNECTIONS;
        plan.measured = SECONDS;
        let report = generator::run(&plan, &[]).await?.report;
        calls += report.calls;
        let is_last = calls >= if is_long { million } else { 1 };
        // One row for each of ten parts, not for each run: how many there are depends on the machine.
        if is_last || calls / enough > shown {
            shown = calls / enough;
            let rss = row(calls, Some(report.rate()), warm)?;
            if shown > 0 {
                warm.get_or_insert(rss);
            }
        }
        if is_last {
            break;
        }
    }
    let method = format!(
        "One node with the 527 tools of `tests/corpus` and three to call; {CONNECTIONS} connections call `execute_tool` \
         as fast as they are answered, in runs of {SECONDS} s, each on new connections. Memory is resident memory of the \
         whole process, which holds the control plane too, read when a run has ended; *most* is the kernel's high-water \
         mark."
    );
    let (id, title) = if is_long {
        ("call/million", "Memory of a node over a million calls")
    } else {
        ("call/memory", "Memory of a node under load")
    };
    Ok(Section { id, title, method, table })
}
