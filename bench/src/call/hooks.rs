//! What a hook adds to a call: none, one behind a Unix socket, one in Python.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context as _;

use super::figures::{Figures, median, per_second, time};
use super::subject::{Subject, Upstream, this};
use super::{calls, generator, registries};
use crate::Setting;
use crate::hook_service::PYTHON;
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era};

const CONNECTIONS: usize = 8;
/// Little enough that no subject is busy: what is measured is the way, not the waiting in line.
const RATE: f64 = 200.0;
const ROUNDS: usize = 5;
const SECONDS: f64 = 3.0;
const WARM_UP: f64 = 0.5;

/// Measures it; `python` is an interpreter with `grpcio`, without which Python is left out.
pub(crate) async fn run(setting: &Setting, python: Option<OsString>) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("hooks.sock");
    let mut program = this(&["hook-service"])?;
    program.arguments.push(socket.clone().into());
    let (_service, _) = program.start_and_listen().await?;
    std::fs::write(folder.path().join("quiet_hooks.py"), PYTHON)?;
    let subjects = subjects(setting, &upstream, &socket, python).await?;
    let mut rounds = vec![Vec::new(); subjects.len()];
    for _ in 0..ROUNDS {
        for ((subject, ..), rounds) in subjects.iter().zip(&mut rounds) {
            rounds.push(measure(&upstream, subject).await?);
        }
    }
    let mut table = Table::new(&["hooks", "calls/s", "p50", "p99", "added p50", "added p99", "targets"]);
    let none = rounds.first().cloned().unwrap_or_default();
    for ((_, name, target), rounds) in subjects.iter().zip(&rounds) {
        let of_all = Figures::median(rounds);
        let added = |quantile: fn(&Figures) -> f64| {
            time(median(rounds.iter().zip(&none).map(|(round, none)| quantile(round) - quantile(none))))
        };
        table.row(vec![
            (*name).to_owned(),
            per_second(of_all.rate),
            time(of_all.latency.p50),
            time(of_all.latency.p99),
            added(|round| round.latency.p50),
            added(|round| round.latency.p99),
            (*target).to_owned(),
        ]);
    }
    let method = format!(
        "`execute_tool` on a fixed timetable of {RATE} calls per second over {CONNECTIONS} connections, small answers, \
         stateless revision on both sides, {ROUNDS} rounds of {SECONDS} s for each subject in turn. The hook takes part in \
         `before_execute` and changes nothing. *Added* is the median over rounds of the difference to the same round \
         without hooks."
    );
    Ok(Section {
        id: "hooks/added",
        title: "What a hook adds to the latency of `execute_tool`",
        method,
        table,
    })
}

/// Whom to measure, how it is called, and its target.
async fn subjects(
    setting: &Setting,
    upstream: &Upstream,
    socket: &Path,
    python: Option<OsString>,
) -> anyhow::Result<Vec<(Subject, &'static str, &'static str)>> {
    let domains = upstream.domains(&registries::fixtures());
    let mut subjects = vec![
        (Subject::standalone(setting, &domains, &[]).await?, "no hooks", ""),
        (
            Subject::standalone(setting, &domains, &[("TOOLPLANE_HOOKS", prefixed("unix:", socket))]).await?,
            "one service on a Unix socket",
            "≤ 200 µs p50",
        ),
    ];
    match python {
        None => eprintln!("BENCH_HOOKS_PYTHON names no interpreter with grpcio: Python is not measured"),
        Some(python) => {
            let variables = [
                ("TOOLPLANE_HOOKS_PYTHON", python),
                ("PYTHONPATH", socket.parent().context("a folder")?.into()),
                ("GATEWAY_HOOK_MODULE", "quiet_hooks:create".into()),
                ("GATEWAY_ALLOWED_HOOK_PREFIXES", "quiet_hooks".into()),
            ];
            let subject = Subject::standalone(setting, &domains, &variables).await?;
            subjects.push((subject, "one hook in Python", "≤ 1 ms p50"));
        }
    }
    Ok(subjects)
}

async fn measure(upstream: &Upstream, subject: &Subject) -> anyhow::Result<Figures> {
    let request = calls::execute(subject.asked, Era::Stateless, &Callable::Small.tool(Era::Stateless));
    let mut plan = subject.plan(Era::Stateless, FIXTURE, request, ANSWER_MARK);
    (plan.connections, plan.rate) = (CONNECTIONS, Some(RATE));
    (plan.measured, plan.warm_up) = (SECONDS, WARM_UP);
    Ok(Figures::of(&generator::run(&plan, &[&subject.processes, &upstream.processes]).await?))
}

fn prefixed(scheme: &str, path: &Path) -> OsString {
    let mut text = OsString::from(scheme);
    text.push(path);
    text
}
