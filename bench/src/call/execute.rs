//! `execute_tool` with a small answer, as fast as 64 connections get their answers: what a call costs.

use super::calls;
use super::figures::{Figures, per_second, time, times};
use super::generator;
use super::subject::{NODE, Subject, Upstream};
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era};

/// A call under some load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) tool: Callable,
    pub(super) era: Era,
    pub(super) connections: usize,
    /// How long a round takes.
    pub(super) seconds: f64,
}

const CASE: Case = Case { tool: Callable::Small, era: Era::Stateless, connections: 64, seconds: 5.0 };
const ROUNDS: usize = 3;
const WARM_UP: f64 = 0.5;

pub(super) async fn run(upstream: &Upstream, subjects: &[Subject]) -> anyhow::Result<Section> {
    let mut table = Table::new(&[
        "subject",
        "calls/s",
        "of direct",
        "of pass-through",
        "p50",
        "p99",
        "CPU per call",
        "of pass-through",
        "upstream's CPU",
        "client's CPU",
        "targets",
    ]);
    let measured = side_by_side(upstream, subjects, &CASE, ROUNDS).await?;
    let of = |at: usize, figure: fn(&Figures) -> f64| measured.get(at).map(figure).unwrap_or_default();
    let (direct, pass) = (of(0, |one| one.rate), of(1, |one| one.rate));
    let pass_cpu = of(1, |one| one.own);
    for (subject, figures) in subjects.iter().zip(&measured) {
        let targets = if subject.name == NODE {
            "≥ 0.33 of direct, ≥ 0.65 of pass-through, ≤ 40 µs, ≤ 1.6 × pass-through"
        } else {
            ""
        };
        table.row(vec![
            subject.name.clone(),
            per_second(figures.rate),
            times(figures.rate, direct),
            times(figures.rate, pass),
            time(figures.latency.p50),
            time(figures.latency.p99),
            format!("{:.1} µs", figures.own),
            times(figures.own, pass_cpu),
            format!("{:.1} µs", figures.upstream),
            format!("{:.1} µs", figures.client),
            targets.to_owned(),
        ]);
    }
    let method = format!(
        "64 connections that are kept alive, each sending its next call when it has the answer of the last; an answer of \
         200 bytes from an upstream without sessions, stateless revision (2026-07-28) on both sides. {ROUNDS} rounds of \
         {} s for each subject in turn, medians. Client, subject and upstream share the machine, and processor time is \
         that of the whole process. *Pass-through* reads the body of a request, sends it on as it came over a pooled \
         connection, and returns the answer, on the same libraries; it knows nothing of MCP. *One node* is \
         `toolplane standalone` with default settings, its log included, which goes to `/dev/null`.",
        CASE.seconds
    );
    let title = "What `execute_tool` costs";
    Ok(Section { id: "call/execute", title, method, table })
}

/// Each subject's medians; they take turns.
pub(super) async fn side_by_side(
    upstream: &Upstream,
    subjects: &[Subject],
    case: &Case,
    rounds: usize,
) -> anyhow::Result<Vec<Figures>> {
    let mut figures = vec![Vec::new(); subjects.len()];
    for _ in 0..rounds {
        for (subject, figures) in subjects.iter().zip(&mut figures) {
            let request = calls::execute(subject.asked, case.era, &case.tool.tool(case.era));
            let mut plan = subject.plan(case.era, FIXTURE, request, ANSWER_MARK);
            plan.connections = case.connections;
            plan.measured = case.seconds;
            plan.warm_up = WARM_UP;
            let run = generator::run(&plan, &[&subject.processes, &upstream.processes]).await?;
            figures.push(Figures::of(&run));
        }
    }
    Ok(figures.iter().map(|rounds| Figures::median(rounds)).collect())
}
