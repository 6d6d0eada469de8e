//! How soon an upstream learns that a caller is gone.

use std::time::Duration;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use super::calls;
use super::figures::time;
use super::subject::{Subject, Upstream};
use crate::Setting;
use crate::report::{Section, Table};
use crate::static_upstream::Era;
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::world::http;

const CALLS: u64 = 50;
/// Between two looks at what the upstream has noticed; that it was late is not what is measured.
const POLL: Duration = Duration::from_millis(2);
/// How long anything may take that is to happen at once.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(setting: &Setting, upstream: &Upstream) -> anyhow::Result<Section> {
    let domains = [Era::Stateless, Era::Handshake];
    let domains = domains.map(|era| (era.name().to_owned(), era, FIXTURE.to_owned()));
    let node = Subject::standalone(setting, &upstream.domains(&domains)).await?;
    let mut table = Table::new(&["upstream", "calls", "p50", "p99", "longest", "target"]);
    for (what, era) in [
        ("stateless revision (2026-07-28)", Era::Stateless),
        ("handshake revision, issues no session id", Era::Handshake),
    ] {
        let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
        for _ in 0..setting.count(CALLS) {
            times.record(cancel(upstream, &node, era).await?)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let micros = |value: u64| time(value as f64);
        table.row(vec![
            what.to_owned(),
            times.len().to_string(),
            micros(times.value_at_quantile(0.5)),
            micros(times.value_at_quantile(0.99)),
            micros(times.max()),
            "≤ 50 ms".to_owned(),
        ]);
    }
    let method = "A caller asks for a tool that takes long, and ends its connection once the upstream has the call. Time \
                  runs from there to the moment in which the upstream's connection to the node ends, by the clock that \
                  all processes of a machine share. One call after the other."
        .to_owned();
    Ok(Section {
        id: "call/cancelling",
        title: "How soon a dropped call reaches the upstream",
        method,
        table,
    })
}

/// Gives up one call and says how many microseconds later the upstream knew.
async fn cancel(upstream: &Upstream, node: &Subject, era: Era) -> anyhow::Result<u64> {
    let before = slow_calls(upstream).await?;
    let request = calls::execute(node.asked, era, &Callable::Slow.tool(era));
    let connection = http::begin(&node.url, "/mcp", &request.headers, &request.body).await?;
    until(upstream, |calls| calls.begun > before.begun).await?;
    let dropped = now();
    drop(connection);
    let after = until(upstream, |calls| calls.ended > before.ended).await?;
    Ok(after.last_ended.saturating_sub(dropped).max(1))
}

/// What the upstream says of the calls that take long.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
struct SlowCalls {
    begun: u64,
    ended: u64,
    /// In microseconds of the clock of the machine.
    last_ended: u64,
}

async fn slow_calls(upstream: &Upstream) -> anyhow::Result<SlowCalls> {
    let answer = http::get(&upstream.url, "/slow").await?;
    Ok(serde_json::from_str(answer.split_once("\r\n\r\n").context("no body")?.1)?)
}

async fn until(
    upstream: &Upstream,
    is_there: impl Fn(&SlowCalls) -> bool + Send + Sync,
) -> anyhow::Result<SlowCalls> {
    let waiting = async {
        loop {
            let calls = slow_calls(upstream).await?;
            if is_there(&calls) {
                return Ok(calls);
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.context("the upstream has not noticed")?
}

/// Microseconds of the clock of the machine.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds * 1_000_000 + nanos / 1000
}
