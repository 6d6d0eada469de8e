//! `execute_tool` in every combination of answer, revision and number of connections.

use super::execute;
use super::figures::{Figures, per_second, time, times};
use super::side_by_side::{self, Case};
use super::subject::Upstream;
use crate::Setting;
use crate::report::{Section, Table};
use crate::static_upstream::Era;
use crate::static_upstream::catalog::Callable;

const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
/// The row that carries the targets.
const NAMED: usize = 64;
const ROUNDS: usize = 2;
const SECONDS: f64 = 0.8;

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let subjects = side_by_side::subjects(setting, &upstream, true).await?;
    let (seconds, rounds) = (setting.seconds(SECONDS), setting.times(ROUNDS));
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
        "targets",
    ]);
    for tool in [Callable::Small, Callable::Large] {
        for era in [Era::Stateless, Era::Handshake] {
            for connections in CONNECTIONS {
                let case = Case { tool, era, connections, rate: None, seconds };
                let measured = side_by_side::medians(&upstream, &subjects, &case, rounds).await?;
                table.row(row(&case, &measured));
            }
        }
    }
    let method = format!(
        "Calls per second as fast as answers come, subjects and settings as for *What `execute_tool` costs*, where the \
         rounds are longer; here {rounds} rounds of {seconds} s each, medians (of an even number the upper of the middle \
         two). p50, p99 and processor time are those of one node, on the right those of two. Both sides of a gateway \
         speak the same revision, and no upstream issues sessions. {}",
        side_by_side::about_two_nodes(&subjects)
    );
    let title = "`execute_tool` by answer, revision and connections".to_owned();
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
    let is_named = case.tool == Callable::Small && case.era == Era::Stateless && case.connections == NAMED;
    cells.push(if is_named { execute::targets(measured) } else { String::new() });
    cells
}

/// As the tables call it.
pub(super) fn revision(era: Era) -> &'static str {
    match era {
        Era::Stateless => "2026-07-28",
        Era::Handshake | Era::Sessions => "2025-06-18",
    }
}
