//! `execute_tool` in every combination of answer, revision and number of connections.

use super::execute::{Case, side_by_side};
use super::figures::{Figures, per_second, time, times};
use super::subject::{Subject, Upstream};
use crate::report::{Section, Table};
use crate::static_upstream::Era;
use crate::static_upstream::catalog::Callable;

const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 3;
const SECONDS: f64 = 1.0;

/// The subjects in their order: direct, pass-through, one node, and two nodes where there are any.
pub(super) async fn run(upstream: &Upstream, subjects: &[Subject]) -> anyhow::Result<Section> {
    let mut table = Table::new(&[
        "answer",
        "revision",
        "connections",
        "direct",
        "pass-through",
        "one node",
        "of direct",
        "of pass-through",
        "p50",
        "p99",
        "CPU per call",
        "pass-through's",
        "two nodes",
        "p50",
        "p99",
    ]);
    for tool in [Callable::Small, Callable::Large] {
        for era in [Era::Stateless, Era::Handshake] {
            for connections in CONNECTIONS {
                let case = Case { tool, era, connections, seconds: SECONDS };
                let measured = side_by_side(upstream, subjects, &case, ROUNDS).await?;
                table.row(row(&case, &measured));
            }
        }
    }
    let two_nodes = if subjects.len() > 3 {
        "*Two nodes* are `toolplane data-plane` twice, behind nginx with `deploy/load-balancers/nginx.conf`."
    } else {
        "*Two nodes* were not measured: there is no nginx here (`apt-get install nginx`)."
    };
    let method = format!(
        "Calls per second as fast as answers come, subjects and settings as above; {ROUNDS} rounds of {SECONDS} s each, \
         medians. Both sides of a gateway speak the same revision, and no upstream issues sessions. {two_nodes} All of it \
         shares the processors of one machine, so two nodes cannot be faster here than one: what they show is the price \
         of the load balancer."
    );
    let title = "`execute_tool` by answer, revision and connections";
    Ok(Section { id: "call/grid", title, method, table })
}

fn row(case: &Case, measured: &[Figures]) -> Vec<String> {
    let answer = if case.tool == Callable::Large { "32 KiB" } else { "200 B" };
    let mut cells = vec![answer.to_owned(), revision(case.era).to_owned(), case.connections.to_string()];
    if let [direct, pass, node, ..] = measured {
        cells.extend([direct.rate, pass.rate, node.rate].map(per_second));
        cells.extend([times(node.rate, direct.rate), times(node.rate, pass.rate)]);
        cells.extend([node.latency.p50, node.latency.p99].map(time));
        cells.extend([node.own, pass.own].map(|micros| format!("{micros:.1} µs")));
    }
    match measured.get(3) {
        Some(two) => cells.extend([per_second(two.rate), time(two.latency.p50), time(two.latency.p99)]),
        None => cells.extend(["–", "–", "–"].map(str::to_owned)),
    }
    cells
}

/// As the tables call it.
pub(super) fn revision(era: Era) -> &'static str {
    match era {
        Era::Stateless => "2026-07-28",
        Era::Handshake | Era::Sessions => "2025-06-18",
    }
}
