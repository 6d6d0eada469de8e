//! Whether a node's memory grows with the number of calls.

use tokio::time::Instant;

use super::generator;
use super::memory;
use super::subject::Upstream;
use crate::Setting;
use crate::report::{Section, Table};
use crate::target::Target;

const STEP: u64 = 100_000;
const STEPS: usize = 10;
/// Seconds for all of it: a slow machine makes fewer calls.
const BOUND: f64 = 300.0;
/// A quick run's step.
const QUICK_STEP: u64 = 100;

/// Between the first step, after which a node has what it needs, and the last: two bytes per call.
const GROWTH: Target = Target::at_most(2.0, " MiB since the first 100,000");

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let node = memory::node(setting, &upstream).await?;
    let step = if setting.quick { QUICK_STEP } else { STEP };
    let mut table =
        Table::new(&["calls so far", "calls/s", "RSS", "since the first step", "most ever", "target"]);
    let rest = node.usage()?;
    let row = |calls: u64, rate: String, [rss, since, peak]: [f64; 3], target: String| {
        let mebibytes = |value: f64| format!("{value:.1} MiB");
        vec![calls.to_string(), rate, mebibytes(rss), format!("{since:+.1} MiB"), mebibytes(peak), target]
    };
    table.row(row(0, String::new(), [rest.rss, 0.0, rest.peak], String::new()));
    let (started, mut calls, mut first) = (Instant::now(), 0, None);
    for at in 1..=setting.times(STEPS) {
        let left = BOUND - started.elapsed().as_secs_f64();
        if left <= 0.0 {
            break;
        }
        let mut plan = memory::plan(&node);
        (plan.measured, plan.calls) = (left, Some(step));
        let report = generator::run(&plan, &[]).await?.report;
        calls += report.calls;
        let usage = node.usage()?;
        let since = usage.rss - *first.get_or_insert(usage.rss);
        let is_last = at == setting.times(STEPS) || started.elapsed().as_secs_f64() >= BOUND;
        let target = if is_last { GROWTH.verdict(since) } else { String::new() };
        table.row(row(calls, format!("{:.0}", report.rate()), [usage.rss, since, usage.peak], target));
    }
    let method = format!(
        "One node by itself, as for *Memory of a node under load*; {STEPS} times {step} calls over 256 connections, each \
         time on new ones, as fast as they are answered, and at most {BOUND} s in all. Memory is read between two \
         runs, when every connection has been closed. What the node has freed and the allocator of the C library keeps \
         for the next burst counts, and grows by steps with the largest burst so far: see the README."
    );
    let title = "Memory of a node over a million calls".to_owned();
    Ok(Section { id: "call/million", title, method, table })
}
