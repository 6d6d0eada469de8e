//! Whether a slow upstream delays the calls of others.

use super::calls;
use super::figures::{Figures, median, time};
use super::generator::{self, Generator};
use super::subject::{Subject, Upstream};
use crate::Setting;
use crate::load::{Plan, Times};
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era, SLOW_SECONDS};
use crate::target::Target;

/// Connections that wait for the slow upstream.
const WAITING: usize = 200;
const CONNECTIONS: usize = 32;
const RATE: f64 = 2000.0;
const ROUNDS: usize = 9;
const SECONDS: f64 = 3.0;
const WARM_UP: f64 = 0.3;
const SLOW_DOMAIN: &str = "slow";
/// Another than the fast one's, so that the names of their tools differ.
const SLOW_ERA: Era = Era::Handshake;

const P99: Target = Target::at_most(1.3, " ×");

/// A round: without slow calls before and after, and with them in between.
struct Round {
    before: Figures,
    beside: Figures,
    after: Figures,
}

type Quantile = fn(&Times) -> f64;

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let (upstream, slow) = (Upstream::start().await?, Upstream::start().await?);
    let fast_domain = (Era::Stateless.name().to_owned(), Era::Stateless, FIXTURE.to_owned());
    let mut domains = upstream.domains(&[fast_domain]);
    let extra = slow.domains(&[(SLOW_DOMAIN.to_owned(), SLOW_ERA, FIXTURE.to_owned())]);
    domains[SLOW_DOMAIN] = extra[SLOW_DOMAIN].clone();
    let node = Subject::standalone(setting, &domains).await?;
    let (seconds, times) = (setting.seconds(SECONDS), setting.times(ROUNDS));
    let mut rounds = Vec::new();
    for _ in 0..times {
        let before = measure(&node, seconds).await?;
        let waiting = Generator::begin(&waiting(&node)).await?;
        let beside = measure(&node, seconds).await?;
        waiting.end().await?;
        rounds.push(Round { before, beside, after: measure(&node, seconds).await? });
    }
    let method = format!(
        "Calls of a fast upstream leave one node on a timetable of {RATE} per second over {CONNECTIONS} connections, with \
         and without {WAITING} calls in flight to another upstream that takes {SLOW_SECONDS} s for each. {times} rounds of \
         without, with and without again, {seconds} s each, so each of the three has {:.0} calls per round, and {:.0} of \
         them are beyond its p99. A ratio is that of a round: with, divided by the mean of both without. Medians of \
         rounds, and in brackets the least and the largest. *Noise* is the same for the two without, the second \
         divided by the first: what the ratio would be of nothing. Client late p99 (median): {} without, {} with.",
        RATE * seconds,
        RATE * seconds / 100.0,
        time(median(rounds.iter().map(|round| round.before.late))),
        time(median(rounds.iter().map(|round| round.beside.late))),
    );
    let title = "One slow upstream among fast ones".to_owned();
    Ok(Section { id: "call/slow", title, method, table: table(&rounds) })
}

fn table(rounds: &[Round]) -> Table {
    let mut table = Table::new(&["latency", "without", "with", "with ÷ without", "noise", "target"]);
    let quantiles: [(&str, Quantile); 4] = [
        ("p50", |times| times.p50),
        ("p90", |times| times.p90),
        ("p99", |times| times.p99),
        ("p99.9", |times| times.p999),
    ];
    for (name, quantile) in quantiles {
        let of = |figures: &Figures| quantile(&figures.latency);
        let without = |round: &Round| f64::midpoint(of(&round.before), of(&round.after));
        let ratios: Vec<f64> = rounds.iter().map(|round| of(&round.beside) / without(round)).collect();
        let noise: Vec<f64> = rounds.iter().map(|round| of(&round.after) / of(&round.before)).collect();
        let ratio = median(ratios.iter().copied());
        table.row(vec![
            name.to_owned(),
            time(median(rounds.iter().map(without))),
            time(median(rounds.iter().map(|round| of(&round.beside)))),
            with_range(&ratios),
            with_range(&noise),
            if name == "p99" { P99.verdict(ratio) } else { String::new() },
        ]);
    }
    table
}

fn with_range(ratios: &[f64]) -> String {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.2} ({least:.2} to {largest:.2})", median(ratios.iter().copied()))
}

async fn measure(node: &Subject, seconds: f64) -> anyhow::Result<Figures> {
    let request = calls::execute(node.asked, Era::Stateless, &Callable::Small.tool(Era::Stateless));
    let mut plan = node.plan(Era::Stateless, FIXTURE, request, ANSWER_MARK);
    plan.connections = CONNECTIONS;
    plan.rate = Some(RATE);
    plan.measured = seconds;
    plan.warm_up = WARM_UP.min(seconds);
    Ok(Figures::of(&generator::run(&plan, &[&node.processes]).await?))
}

fn waiting(node: &Subject) -> Plan {
    let request = calls::execute(node.asked, Era::Stateless, &Callable::Slow.tool(SLOW_ERA));
    let mut plan = node.plan(Era::Stateless, FIXTURE, request, ANSWER_MARK);
    plan.connections = WAITING;
    // Longer than anybody lets it run.
    plan.measured = 600.0;
    plan
}
