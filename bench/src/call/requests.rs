//! How many HTTP requests an upstream sees for one `execute_tool`.

use std::time::Duration;

use serde_json::json;

use super::calls;
use super::figures::time;
use super::generator;
use super::subject::{Subject, Upstream};
use crate::Setting;
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{self, ANSWER_MARK, Era};
use crate::target::Target;

const SECONDS: f64 = 3.0;
/// How long no request may arrive until all have.
const QUIET: Duration = Duration::from_millis(300);

const ONE: Target = Target::at_most(1.0, "");
/// Opened ahead, confirmed, called, closed behind.
const FOUR: Target = Target::at_most(4.0, "");

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = &Upstream::start().await?;
    let mut table =
        Table::new(&["upstream", "session mode", "calls", "requests per call", "p50", "p99", "target"]);
    for (what, era, mode, target) in [
        ("stateless revision (2026-07-28)", Era::Stateless, None, ONE),
        ("handshake revision, issues no session id", Era::Handshake, None, ONE),
        ("handshake revision, issues session ids", Era::Sessions, None, FOUR),
        ("handshake revision, issues session ids", Era::Sessions, Some("shared"), ONE),
    ] {
        let url = format!("{}{}", upstream.url, static_upstream::path(era, FIXTURE));
        let mut domain = json!({ "url": url });
        if let Some(mode) = mode {
            domain["session_mode"] = mode.into();
        }
        let node = Subject::standalone(setting, &json!({ "only": domain })).await?;
        let mode = mode.unwrap_or(if era == Era::Sessions { "isolated" } else { "–" });
        let mut cells = vec![what.to_owned(), mode.to_owned()];
        cells.extend(measure(setting, upstream, &node, era, target).await?);
        table.row(cells);
    }
    let seconds = setting.seconds(SECONDS);
    let method = format!(
        "One connection calls for {seconds} s; the upstream counts every request, what precedes and follows a call \
         included. An isolated session is opened ahead of the call and closed behind it, so it costs the upstream three \
         more requests and the caller no round trip."
    );
    let title = "HTTP requests to the upstream per `execute_tool`".to_owned();
    Ok(Section { id: "call/requests", title, method, table })
}

async fn measure(
    setting: &Setting,
    upstream: &Upstream,
    node: &Subject,
    era: Era,
    target: Target,
) -> anyhow::Result<[String; 5]> {
    let before = settled(upstream).await?;
    let request = calls::execute(node.asked, era, &Callable::Small.tool(era));
    let mut plan = node.plan(era, FIXTURE, request, ANSWER_MARK);
    // The caller's own handshake never reaches the upstream.
    plan.measured = setting.seconds(SECONDS);
    let report = generator::run(&plan, &[]).await?.report;
    let requests = settled(upstream).await? - before;
    Ok([
        report.calls.to_string(),
        format!("{:.2}", report.per_call(requests)),
        time(report.latency.p50),
        time(report.latency.p99),
        // A call that was under way at the end is a request too; it is not among so many digits.
        target.verdict((report.per_call(requests) * 100.0).round() / 100.0),
    ])
}

/// The number of requests once no more arrive.
async fn settled(upstream: &Upstream) -> anyhow::Result<u64> {
    let mut seen = upstream.requests().await?;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = upstream.requests().await?;
        if now == seen {
            return Ok(now);
        }
        seen = now;
    }
}
