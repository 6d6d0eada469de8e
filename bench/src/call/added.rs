//! What a node adds to the latency of a call at half of what it can do.

use super::figures::{Figures, median, per_second, time};
use super::side_by_side::{self, Case};
use super::subject::{NODE, Subject, Upstream};
use crate::Setting;
use crate::report::{Section, Table};
use crate::static_upstream::Era;
use crate::static_upstream::catalog::Callable;
use crate::target::{Target, verdicts};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
const SECONDS: f64 = 4.0;
const LEAST_RATE: f64 = 100.0;

const P50: Target = Target::at_most(150.0, " µs p50");
const P99: Target = Target::at_most(1000.0, " µs p99");

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let subjects = side_by_side::subjects(setting, &upstream, false).await?;
    let (seconds, times) = (setting.seconds(SECONDS), setting.times(ROUNDS));
    let (tool, era, connections) = (Callable::Small, Era::Stateless, CONNECTIONS);
    let mut case = Case { tool, era, connections, rate: None, seconds };
    let capacity = match subjects.iter().find(|subject| subject.name == NODE) {
        Some(node) => side_by_side::round(&upstream, node, &case).await?.rate,
        None => anyhow::bail!("one node is among the subjects"),
    };
    // A debug build that is run for an instant may not have answered at all.
    case.rate = Some((capacity / 2.0).max(LEAST_RATE));
    let rounds = side_by_side::rounds(&upstream, &subjects, &case, times).await?;
    let table = table(&subjects, &rounds);
    let method = format!(
        "Calls leave on a fixed timetable, at half of the {} calls per second that one node reached before, over \
         {CONNECTIONS} connections; latency counts from the instant at which a call was due, so waiting in line counts. \
         Small answers, stateless revision on both sides, {times} rounds of {seconds} s for each subject in turn. *Added* \
         is the median over rounds of the difference to the same round of *direct*, and the range is from the least \
         round to the largest. *Client late* is how late calls left that nothing but the client held up: what is in \
         it is in p99 too, and a p99 below it says more about the scheduler than about the subject. Client, subject and \
         upstream share the processors.",
        per_second(capacity)
    );
    let title = "What a node adds to the latency of `execute_tool` at half its capacity".to_owned();
    Ok(Section { id: "call/added", title, method, table })
}

fn table(subjects: &[Subject], rounds: &[Vec<Figures>]) -> Table {
    let mut table = Table::new(&[
        "subject",
        "calls/s",
        "p50",
        "p99",
        "p99.9",
        "added p50",
        "added p99",
        "range of added p99",
        "client late p99",
        "CPU per call",
        "targets",
    ]);
    let direct = rounds.first().cloned().unwrap_or_default();
    for (subject, rounds) in subjects.iter().zip(rounds) {
        let of_all = Figures::median(rounds);
        let added = |quantile: fn(&Figures) -> f64| -> Vec<f64> {
            rounds.iter().zip(&direct).map(|(round, direct)| quantile(round) - quantile(direct)).collect()
        };
        let (p50, p99) = (added(|round| round.latency.p50), added(|round| round.latency.p99));
        let least = p99.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = p99.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (p50, p99) = (median(p50.into_iter()), median(p99.into_iter()));
        let is_node = subject.name == NODE;
        table.row(vec![
            subject.name.clone(),
            per_second(of_all.rate),
            time(of_all.latency.p50),
            time(of_all.latency.p99),
            time(of_all.latency.p999),
            time(p50),
            time(p99),
            format!("{} to {}", time(least), time(largest)),
            time(of_all.late),
            format!("{:.1} µs", of_all.own),
            if is_node { verdicts([(P50, p50), (P99, p99)]) } else { String::new() },
        ]);
    }
    table
}
