//! How soon an upstream hears that a caller is gone.

use std::time::Duration;

use super::calls;
use super::figures::{per_second, quantile, time};
use super::generator::Generator;
use super::registries;
use super::subject::{Canceled, MOST_WAIT, Subject, Upstream};
use crate::Setting;
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{self, ANSWER_MARK, Era};
use crate::target::Target;
use crate::world::http;

const CALLS: usize = 200;
/// Calls per second beside those that are given up, where there is load.
const RATE: f64 = 1500.0;
const CONNECTIONS: usize = 64;

const MOST: Target = Target::at_most(50.0, " ms");

/// What is given up.
#[derive(Debug, Clone, Copy)]
struct Case {
    era: Era,
    tool: Callable,
    has_load: bool,
}

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let node = Subject::standalone(setting, &upstream.domains(&registries::fixtures())).await?;
    let mut table = Table::new(&[
        "upstream",
        "its reply",
        "other calls",
        "calls given up",
        "p50",
        "p90",
        "p99",
        "max",
        "never heard of",
        "heard by",
        "target for the max",
    ]);
    for has_load in [false, true] {
        let load = if has_load { Some(load(&node).await?) } else { None };
        for era in [Era::Stateless, Era::Handshake, Era::Sessions] {
            for tool in [Callable::Held, Callable::HeldStream] {
                let case = Case { era, tool, has_load };
                table.row(row(setting, &upstream, &node, case).await?);
            }
        }
        if let Some(load) = load {
            load.end().await?;
        }
    }
    let method = format!(
        "A caller sends `execute_tool` on a connection of its own to one node, waits until the upstream has the call, up to \
         10 ms more, and closes the connection; time runs from just before that to the instant at which the upstream sees \
         its own connection closed or reads `notifications/cancelled`, on one clock. {} calls one after the other for \
         each row. *JSON* is an upstream that has sent nothing yet, *SSE* one that has sent the head of a stream and a \
         comment. Other calls are {} small ones per second on a timetable over {CONNECTIONS} connections to the same node. \
         Caller and upstream speak the same revision. A cancellation that is not heard of within {} s is counted as such, \
         and misses the target.",
        setting.times(CALLS).max(2),
        per_second(RATE),
        MOST_WAIT.as_secs()
    );
    let title = "How soon an upstream hears that the caller is gone".to_owned();
    Ok(Section { id: "call/cancel", title, method, table })
}

/// Small calls beside those that are given up.
async fn load(node: &Subject) -> anyhow::Result<Generator> {
    let request = calls::execute(node.asked, Era::Stateless, &Callable::Small.tool(Era::Stateless));
    let mut plan = node.plan(Era::Stateless, FIXTURE, request, ANSWER_MARK);
    plan.connections = CONNECTIONS;
    plan.rate = Some(RATE);
    // Longer than anybody lets it run.
    plan.measured = 600.0;
    Generator::begin(&plan).await
}

async fn row(
    setting: &Setting,
    upstream: &Upstream,
    node: &Subject,
    case: Case,
) -> anyhow::Result<Vec<String>> {
    let (mut micros, mut ways, mut lost) = (Vec::new(), Vec::new(), 0);
    let count = setting.times(CALLS).max(2);
    for number in 0..count {
        match give_up(upstream, node, case, number).await? {
            Some((took, how)) => {
                micros.push(took);
                if !ways.contains(&how) {
                    ways.push(how);
                }
            }
            None => lost += 1,
        }
    }
    micros.sort_by(f64::total_cmp);
    let most = if lost > 0 { f64::INFINITY } else { quantile(&micros, 100) };
    let what = match case.era {
        Era::Stateless => "stateless revision (2026-07-28)",
        Era::Handshake => "handshake revision, no session id",
        Era::Sessions => "handshake revision, isolated sessions",
    };
    let reply = if case.tool == Callable::Held { "JSON" } else { "SSE" };
    let load = if case.has_load { format!("{}/s", per_second(RATE)) } else { "none".to_owned() };
    let mut cells = vec![what.to_owned(), reply.to_owned(), load, count.to_string()];
    cells.extend([50, 90, 99, 100].map(|percent| time(quantile(&micros, percent))));
    cells.extend([lost.to_string(), ways.join(", "), MOST.verdict(most / 1000.0)]);
    Ok(cells)
}

/// One call that is given up: microseconds until the upstream heard of it and how, if it did.
async fn give_up(
    upstream: &Upstream,
    node: &Subject,
    case: Case,
    number: usize,
) -> anyhow::Result<Option<(f64, String)>> {
    let name = format!("{:?}-{:?}-{}-{number}", case.era, case.tool, case.has_load);
    let prepared = calls::execute_named(case.era, &case.tool.tool(case.era), &name);
    let caller = http::begin(&node.url, "POST", "/mcp", &prepared.header_lines(), &prepared.body).await?;
    upstream.arrived(&name).await?;
    // Not in step with anything that either side does.
    tokio::time::sleep(Duration::from_millis(number as u64 * 7 % 11)).await;
    let closed = static_upstream::nanos();
    drop(caller);
    let heard = upstream.canceled(&name).await?;
    Ok(heard.map(|Canceled { at, how }| (static_upstream::micros_between(closed, at), how)))
}
