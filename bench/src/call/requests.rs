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

const SECONDS: f64 = 3.0;
/// How long no request may arrive until all have.
const QUIET: Duration = Duration::from_millis(300);

pub(super) async fn run(setting: &Setting, upstream: &Upstream) -> anyhow::Result<Section> {
    let mut table =
        Table::new(&["upstream", "session mode", "calls", "requests per call", "p50", "p99", "target"]);
    for (what, era, mode, target) in [
        ("stateless revision (2026-07-28)", Era::Stateless, None, "1.00"),
        ("handshake revision, issues no session id", Era::Handshake, None, "1.00"),
        ("handshake revision, issues session ids", Era::Sessions, None, "≤ 4.00"),
        ("handshake revision, issues session ids", Era::Sessions, Some("shared"), "1.00"),
    ] {
        let url = format!("{}{}", upstream.url, static_upstream::path(era, FIXTURE));
        let mut domain = json!({ "url": url });
        if let Some(mode) = mode {
            domain["session_mode"] = mode.into();
        }
        let node = Subject::standalone(setting, &json!({ "only": domain }), &[]).await?;
        table.row(row(upstream, &node, era, [what, mode.unwrap_or("isolated"), target]).await?);
    }
    let method = format!(
        "One connection calls for {SECONDS} s; the upstream counts every request, what precedes and follows a call \
         included. An isolated session is opened ahead of the call and closed behind it, so it costs the upstream three \
         more requests and the caller no round trip."
    );
    let title = "HTTP requests to the upstream per `execute_tool`";
    Ok(Section { id: "call/requests", title, method, table })
}

async fn row(
    upstream: &Upstream,
    node: &Subject,
    era: Era,
    [what, mode, target]: [&str; 3],
) -> anyhow::Result<Vec<String>> {
    let before = settled(upstream).await?;
    let request = calls::execute(node.asked, era, &Callable::Small.tool(era));
    let mut plan = node.plan(era, FIXTURE, request, ANSWER_MARK);
    // The caller's own handshake never reaches the upstream.
    plan.measured = SECONDS;
    let report = generator::run(&plan, &[]).await?.report;
    let requests = settled(upstream).await? - before;
    Ok(vec![
        what.to_owned(),
        if era == Era::Sessions { mode.to_owned() } else { "–".to_owned() },
        report.calls.to_string(),
        format!("{:.2}", report.per_call(requests)),
        time(report.latency.p50),
        time(report.latency.p99),
        target.to_owned(),
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
