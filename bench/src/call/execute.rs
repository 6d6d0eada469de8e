//! `execute_tool` with a small answer, as fast as 64 connections get their answers: what a call costs.

use super::figures::{Figures, per_second, time, times};
use super::side_by_side::{self, Case};
use super::subject::{NODE, Upstream};
use crate::Setting;
use crate::report::{Section, Table};
use crate::static_upstream::Era;
use crate::static_upstream::catalog::Callable;
use crate::target::{Target, verdicts};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 3;
const SECONDS: f64 = 4.0;

const OF_DIRECT: Target = Target::at_least(0.33, " of direct");
const OF_PASS_THROUGH: Target = Target::at_least(0.65, " of pass-through");
const CPU: Target = Target::at_most(40.0, " µs");
const CPU_OF_PASS_THROUGH: Target = Target::at_most(1.6, " × pass-through's");

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let subjects = side_by_side::subjects(setting, &upstream, true).await?;
    let (seconds, rounds) = (setting.seconds(SECONDS), setting.times(ROUNDS));
    let (tool, era, connections) = (Callable::Small, Era::Stateless, CONNECTIONS);
    let case = Case { tool, era, connections, rate: None, seconds };
    let measured = side_by_side::medians(&upstream, &subjects, &case, rounds).await?;
    let mut table = Table::new(&[
        "subject",
        "calls/s",
        "of direct",
        "of pass-through",
        "p50",
        "p99",
        "CPU per call",
        "of pass-through's",
        "upstream's CPU",
        "client's CPU",
        "processors in use",
        "targets",
    ]);
    for (subject, figures) in subjects.iter().zip(&measured) {
        let targets = if subject.name == NODE { targets(&measured) } else { String::new() };
        table.row(row(&subject.name, figures, &measured, targets));
    }
    let method = format!(
        "{CONNECTIONS} connections that are kept alive, each sending its next call when it has the answer of the last; an \
         answer of 200 bytes from an upstream without sessions, stateless revision (2026-07-28) on both sides. {rounds} \
         rounds of {seconds} s for each subject in turn, medians. Client, subject and upstream share the machine; \
         processor time is that of whole processes, and *processors in use* is that of the three together, so where it \
         comes close to the number of processors the machine is the limit and not the client. *Pass-through* reads the \
         body of a request, sends it on as it came over a pooled connection, and returns the answer, on the same \
         libraries; it knows nothing of MCP. *One node* is `toolplane standalone` with default settings, its log included, \
         which goes to `/dev/null`. {}",
        side_by_side::about_two_nodes(&subjects)
    );
    Ok(Section { id: "call/execute", title: "What `execute_tool` costs".to_owned(), method, table })
}

fn row(name: &str, figures: &Figures, measured: &[Figures], targets: String) -> Vec<String> {
    let of = |at: usize, figure: fn(&Figures) -> f64| measured.get(at).map(figure).unwrap_or_default();
    let per_call = |micros: f64| format!("{micros:.1} µs");
    vec![
        name.to_owned(),
        per_second(figures.rate),
        times(figures.rate, of(0, |direct| direct.rate)),
        times(figures.rate, of(1, |pass| pass.rate)),
        time(figures.latency.p50),
        time(figures.latency.p99),
        per_call(figures.own),
        times(figures.own, of(1, |pass| pass.own)),
        per_call(figures.upstream),
        per_call(figures.client),
        format!("{:.2}", figures.processors()),
        targets,
    ]
}

/// What is asked of one node, the third.
pub(super) fn targets(measured: &[Figures]) -> String {
    let [direct, pass, node, ..] = measured else { return String::new() };
    verdicts([
        (OF_DIRECT, node.rate / direct.rate),
        (OF_PASS_THROUGH, node.rate / pass.rate),
        (CPU, node.own),
        (CPU_OF_PASS_THROUGH, node.own / pass.own),
    ])
}
