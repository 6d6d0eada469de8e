//! Whether a slow upstream delays the calls of others.

use super::calls;
use super::figures::{Figures, median, time, times};
use super::generator::{self, Generator};
use super::subject::{Subject, Upstream};
use crate::Setting;
use crate::load::Plan;
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era, SLOW_SECONDS};

/// Connections that wait for the slow upstream.
const WAITING: usize = 200;
const CONNECTIONS: usize = 32;
const RATE: f64 = 2000.0;
const ROUNDS: usize = 7;
const SECONDS: f64 = 3.0;
const WARM_UP: f64 = 0.5;
const SLOW_DOMAIN: &str = "slow";
/// Another than the fast one's, so that the names of their tools differ.
const SLOW_ERA: Era = Era::Handshake;

pub(super) async fn run(setting: &Setting, upstream: &Upstream) -> anyhow::Result<Section> {
    let slow = Upstream::start().await?;
    let fast_domain = (Era::Stateless.name().to_owned(), Era::Stateless, FIXTURE.to_owned());
    let mut domains = upstream.domains(&[fast_domain]);
    let extra = slow.domains(&[(SLOW_DOMAIN.to_owned(), SLOW_ERA, FIXTURE.to_owned())]);
    domains[SLOW_DOMAIN] = extra[SLOW_DOMAIN].clone();
    let node = Subject::standalone(setting, &domains, &[]).await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(Figures::of(&generator::run(&fast(&node), &[&node.processes]).await?));
        let waiting = Generator::begin(&waiting(&node)).await?;
        beside.push(Figures::of(&generator::run(&fast(&node), &[&node.processes]).await?));
        waiting.end().await?;
    }
    let mut table =
        Table::new(&["other calls", "calls/s", "p50", "p99", "p99.9", "p99 with ÷ without", "target"]);
    let pairs = beside.iter().zip(&alone);
    let ratio = median(pairs.map(|(beside, alone)| beside.latency.p99 / alone.latency.p99));
    for (what, rounds, ratio) in
        [("none", &alone, None), ("200 to an upstream that takes 30 s", &beside, Some(ratio))]
    {
        let figures = Figures::median(rounds);
        table.row(vec![
            what.to_owned(),
            format!("{:.0}", figures.rate),
            time(figures.latency.p50),
            time(figures.latency.p99),
            time(figures.latency.p999),
            ratio.map(|ratio| times(ratio, 1.0)).unwrap_or_default(),
            ratio.map(|_| "≤ 1.30".to_owned()).unwrap_or_default(),
        ]);
    }
    let method = format!(
        "Calls of a fast upstream leave one node on a timetable of {RATE} per second over {CONNECTIONS} connections, with \
         and without {WAITING} calls in flight to another upstream that takes {SLOW_SECONDS} s for each. {ROUNDS} rounds \
         of {SECONDS} s of both in turn; the ratio is the median of the rounds' ratios."
    );
    let title = "One slow upstream among fast ones";
    Ok(Section { id: "call/slow", title, method, table })
}

fn fast(node: &Subject) -> Plan {
    let request = calls::execute(node.asked, Era::Stateless, &Callable::Small.tool(Era::Stateless));
    let mut plan = node.plan(Era::Stateless, FIXTURE, request, ANSWER_MARK);
    plan.connections = CONNECTIONS;
    plan.rate = Some(RATE);
    plan.measured = SECONDS;
    plan.warm_up = WARM_UP;
    plan
}

fn waiting(node: &Subject) -> Plan {
    let request = calls::execute(node.asked, Era::Stateless, &Callable::Slow.tool(SLOW_ERA));
    let mut plan = node.plan(Era::Stateless, FIXTURE, request, ANSWER_MARK);
    plan.connections = WAITING;
    // Longer than anybody lets it run.
    plan.measured = 600.0;
    plan
}
