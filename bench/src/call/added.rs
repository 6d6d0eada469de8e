//! What a node adds to the latency of a call at half of what it can do.

use super::calls;
use super::figures::{Figures, median, per_second, time};
use super::generator;
use super::subject::{NODE, Subject, Upstream};
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
const SECONDS: f64 = 4.0;
const WARM_UP: f64 = 0.5;

pub(super) async fn run(upstream: &Upstream, subjects: &[Subject]) -> anyhow::Result<Section> {
    let mut table = Table::new(&[
        "subject",
        "calls/s",
        "p50",
        "p99",
        "p99.9",
        "added p50",
        "added p99",
        "client late p99",
        "targets",
    ]);
    let capacity = match subjects.iter().find(|subject| subject.name == NODE) {
        Some(node) => measure(upstream, node, None).await?.rate,
        None => anyhow::bail!("one node is among the subjects"),
    };
    let mut rounds = vec![Vec::new(); subjects.len()];
    for _ in 0..ROUNDS {
        for (subject, rounds) in subjects.iter().zip(&mut rounds) {
            rounds.push(measure(upstream, subject, Some(capacity / 2.0)).await?);
        }
    }
    let direct = rounds.first().cloned().unwrap_or_default();
    for (subject, rounds) in subjects.iter().zip(&rounds) {
        let of_all = Figures::median(rounds);
        let added = |quantile: fn(&Figures) -> f64| {
            let pairs = rounds.iter().zip(&direct);
            time(median(pairs.map(|(round, direct)| quantile(round) - quantile(direct))))
        };
        let is_node = subject.name == NODE;
        table.row(vec![
            subject.name.clone(),
            per_second(of_all.rate),
            time(of_all.latency.p50),
            time(of_all.latency.p99),
            time(of_all.latency.p999),
            added(|round| round.latency.p50),
            added(|round| round.latency.p99),
            time(of_all.late),
            if is_node { "≤ 150 µs p50, ≤ 1 ms p99".to_owned() } else { String::new() },
        ]);
    }
    let method = format!(
        "Calls leave on a fixed timetable, at half of the {} calls per second that one node reached before, over \
         {CONNECTIONS} connections; latency counts from the instant at which a call was due, so waiting in line counts. \
         Small answers, stateless revision on both sides, {ROUNDS} rounds of {SECONDS} s for each subject in turn. *Added* \
         is the median over rounds of the difference to the same round of *direct*. *Client late* is how late calls left \
         that nothing but the client held up.",
        per_second(capacity)
    );
    let title = "What a node adds to the latency of `execute_tool` at half its capacity";
    Ok(Section { id: "call/added", title, method, table })
}

async fn measure(upstream: &Upstream, subject: &Subject, rate: Option<f64>) -> anyhow::Result<Figures> {
    let request = calls::execute(subject.asked, Era::Stateless, &Callable::Small.tool(Era::Stateless));
    let mut plan = subject.plan(Era::Stateless, FIXTURE, request, ANSWER_MARK);
    plan.connections = CONNECTIONS;
    plan.rate = rate;
    plan.measured = SECONDS;
    plan.warm_up = WARM_UP;
    Ok(Figures::of(&generator::run(&plan, &[&subject.processes, &upstream.processes]).await?))
}
