//! One run of the load generator, and what the processes around it used meanwhile.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use crate::load::{BEGUN, Plan, Report};
use crate::world::child::Child;

/// Longest wait for anything beyond what a plan takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came out of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) report: Report,
    /// Seconds of processor time within the window, for each that was watched.
    pub(crate) cpu: Vec<f64>,
}

/// Runs a plan; whoever is watched may be of several processes. A call that fails ends the benchmark.
pub(crate) async fn run(plan: &Plan, watched: &[&[Child]]) -> anyhow::Result<Run> {
    let run = run_leniently(plan, watched).await?;
    if run.report.failures > 0 {
        let first = run.report.first_failure.as_deref().unwrap_or("no reason");
        bail!("{} calls of {} failed, the first with {first}", run.report.failures, plan.url);
    }
    Ok(run)
}

/// The same where failures are part of what is measured.
pub(crate) async fn run_leniently(plan: &Plan, watched: &[&[Child]]) -> anyhow::Result<Run> {
    let mut generator = Generator::begin(plan).await?;
    let before = cpu(watched)?;
    let patience = Duration::from_secs_f64(plan.measured) + PATIENCE;
    let report = tokio::time::timeout(patience, generator.lines.next_line()).await;
    let report =
        report.context("the load generator does not end")??.context("the load generator said no more")?;
    let after = cpu(watched)?;
    generator.process.wait().await?;
    let cpu = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    Ok(Run { report: serde_json::from_str(&report)?, cpu })
}

/// A load generator that runs; ended when dropped.
#[derive(Debug)]
pub(crate) struct Generator {
    process: tokio::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Generator {
    /// Starts one, and waits until it measures.
    pub(crate) async fn begin(plan: &Plan) -> anyhow::Result<Self> {
        let this = std::env::current_exe().context("the path of this program")?;
        let mut command = Command::new(this);
        command.arg("load").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().context("the load generator does not run")?;
        let mut input = process.stdin.take().context("no input")?;
        input.write_all(serde_json::to_string(plan)?.as_bytes()).await?;
        drop(input);
        let mut lines = BufReader::new(process.stdout.take().context("no output")?).lines();
        let patience = Duration::from_secs_f64(plan.warm_up) + PATIENCE;
        let first = tokio::time::timeout(patience, lines.next_line()).await;
        let first = first.with_context(|| format!("{} takes no connections", plan.url))??;
        if first.as_deref() != Some(BEGUN) {
            bail!("the load generator did not begin, see above; it was to load {}", plan.url);
        }
        Ok(Self { process, lines })
    }

    /// Ends it before its time, with everything it waits for.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }
}

fn cpu(watched: &[&[Child]]) -> anyhow::Result<Vec<f64>> {
    let of_one = |processes: &&[Child]| {
        let times = processes.iter().map(|process| Ok(process.usage()?.cpu));
        times.sum::<anyhow::Result<f64>>()
    };
    watched.iter().map(of_one).collect()
}
