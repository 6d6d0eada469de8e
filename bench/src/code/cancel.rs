//! How soon a program ends whose caller is gone, and how soon upstreams hear of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use serde_json::json;

use super::worker::{self, Watched};
use super::{ERA, domains};
use crate::Setting;
use crate::call::calls;
use crate::call::figures::{quantile, time};
use crate::call::generator::Generator;
use crate::call::subject::{Canceled, MOST_WAIT, Subject, Upstream};
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{micros_between, nanos};
use crate::target::{Target, verdicts};
use crate::world::http;

/// Programs that are given up for each row.
const PROGRAMS: usize = 100;
/// Calls of a program that gathers.
const GATHERED: usize = 10;
/// Callers with other programs, where there is load.
const OTHERS: usize = 6;
/// A program that is given up holds so much and no other does: that tells its worker from the others.
const HELD_BYTES: usize = 24_000_000;
/// More than any other worker has of its own, in KiB.
const LARGE: u64 = 20 * 1024;

const GONE: Target = Target::at_most(50.0, " ms gone");
const HEARD: Target = Target::at_most(50.0, " ms heard");

/// What a program does when its caller leaves.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Loops,
    Waits,
    Gathers,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Loops, Self::Waits, Self::Gathers];

    fn what(self) -> &'static str {
        match self {
            Self::Loops => "loops, with a call under way",
            Self::Waits => "waits for a call",
            Self::Gathers => "waits for ten calls that it gathers",
        }
    }

    /// What the calls of one run are called.
    fn calls(self, run: &str) -> Vec<String> {
        let count = if matches!(self, Self::Gathers) { GATHERED } else { 1 };
        (0..count).map(|call| format!("{run}-{call}")).collect()
    }

    fn source(self, calls: &[String]) -> String {
        let tool = Callable::Held.tool(ERA);
        let calls: Vec<String> = calls.iter().map(|name| format!("{tool}(text='{name}')")).collect();
        let calls = calls.join(", ");
        let then = match self {
            Self::Loops => format!("call = {calls}\nwhile True:\n    pass"),
            Self::Waits => format!("await {calls}"),
            Self::Gathers => format!("import asyncio\nawait asyncio.gather({calls})"),
        };
        format!("held = 'x' * {HELD_BYTES}\n{then}")
    }
}

/// What came of the programs of one row, in microseconds.
#[derive(Debug, Default)]
struct Seen {
    gone: Vec<f64>,
    heard: Vec<f64>,
    /// Workers that stayed, and programs of which some call stayed.
    lost: [usize; 2],
}

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    // One caller has all the programs of this measurement.
    let on = [("GATEWAY_CODE_MODE", "true"), ("TOOLPLANE_CODE_MODE_MAX_RUNS_PER_CALLER", "32")];
    let node = Subject::standalone_with(setting, &upstream.domains(&domains()), &on).await?;
    let mut table = Table::new(&[
        "the program",
        "other programs",
        "given up",
        "worker gone p50",
        "p99",
        "max",
        "upstream heard p50",
        "p99",
        "max",
        "never gone, heard",
        "targets for the max",
    ]);
    for has_load in [false, true] {
        let load = if has_load { Some(Generator::begin(&others(&node)).await?) } else { None };
        for kind in Kind::ALL {
            table.row(row(setting, &upstream, &node, kind, has_load).await?);
        }
        if let Some(load) = load {
            load.end().await?;
        }
    }
    let method = format!(
        "A caller sends `execute_code` on a connection of its own to one node, waits until the upstream has every call of \
         the program, up to 10 ms more, and closes the connection. Time runs from just before that to the end of the \
         worker's process, which a descriptor of it tells, and to the instant at which the upstream has seen its own \
         connection closed for every call, on one clock. {} programs one after the other for each row; each holds {} MB, \
         by which its worker is found. Other programs are those of {OTHERS} callers, each with its next one as soon as it \
         is answered: a call, a loop of 100,000 turns, and ten gathered calls of 50 ms in turn. A worker or a call that \
         is still there after {} s misses the target. Closing the connection is how a caller gives up in every revision: \
         callers have no sessions here, without which `notifications/cancelled` names no call.",
        setting.times(PROGRAMS).max(2),
        HELD_BYTES / 1_000_000,
        MOST_WAIT.as_secs()
    );
    let title = "How soon a program ends whose caller is gone".to_owned();
    Ok(Section { id: "code/cancel", title, method, table })
}

/// Programs beside those that are given up.
fn others(node: &Subject) -> crate::load::Plan {
    let (echo, soon) = (Callable::Small.tool(ERA), Callable::Soon.tool(ERA));
    let sources = [
        format!("await {echo}(text='x')\n'done'"),
        "n = 0\nfor i in range(100000):\n    n += i\n'done'".to_owned(),
        format!("import asyncio\nawait asyncio.gather(*[{soon}(text='x') for _ in range(10)])\n'done'"),
    ];
    let requests = sources.map(|code| calls::meta_tool(ERA, "execute_code", &json!({ "code": code })));
    let mut plan = node.plan(ERA, FIXTURE, requests[0].clone(), "done");
    plan.requests = requests.into();
    plan.connections = OTHERS;
    // Longer than anybody lets it run.
    plan.measured = 600.0;
    plan
}

async fn row(
    setting: &Setting,
    upstream: &Upstream,
    node: &Subject,
    kind: Kind,
    has_load: bool,
) -> anyhow::Result<Vec<String>> {
    let mut seen = Seen::default();
    let count = setting.times(PROGRAMS).max(2);
    for number in 0..count {
        // Not in step with anything that either side does.
        let pause = Duration::from_millis(number as u64 * 7 % 11);
        let calls = kind.calls(&format!("{kind:?}-{has_load}-{number}"));
        give_up(upstream, node, kind, &calls, pause, &mut seen).await?;
    }
    let Seen { mut gone, mut heard, lost } = seen;
    let load = if has_load { format!("{OTHERS} callers' programs") } else { "none".to_owned() };
    let mut cells = vec![kind.what().to_owned(), load, count.to_string()];
    for times in [&mut gone, &mut heard] {
        times.sort_by(f64::total_cmp);
        cells.extend([50, 99, 100].map(|percent| time(quantile(times, percent))));
    }
    cells.push(format!("{}, {}", lost[0], lost[1]));
    let most = |times: &[f64], lost| if lost > 0 { f64::INFINITY } else { quantile(times, 100) / 1000.0 };
    cells.push(verdicts([(GONE, most(&gone, lost[0])), (HEARD, most(&heard, lost[1]))]));
    Ok(cells)
}

/// One program that is given up.
async fn give_up(
    upstream: &Upstream,
    node: &Subject,
    kind: Kind,
    calls: &[String],
    pause: Duration,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let asked = calls::meta_tool(ERA, "execute_code", &json!({ "code": kind.source(calls) }));
    let caller = http::begin(&node.url, "POST", "/mcp", &asked.header_lines(), &asked.body).await?;
    try_join_all(calls.iter().map(|call| upstream.arrived(call))).await?;
    let large: Vec<u32> =
        worker::all(node)?.into_iter().filter(|&id| worker::own_kibibytes(id) > LARGE).collect();
    ensure!(large.len() == 1, "{} workers hold what one program does", large.len());
    let worker = Watched::new(*large.first().context("a worker")?)?;
    tokio::time::sleep(pause).await;
    let closed = nanos();
    drop(caller);
    let gone = async {
        let ended = tokio::time::timeout(MOST_WAIT, worker.ended()).await;
        anyhow::Ok(ended.ok().transpose()?.map(|()| nanos()))
    };
    let heard = try_join_all(calls.iter().map(|call| upstream.canceled(call)));
    let (gone, heard) = tokio::try_join!(gone, heard)?;
    match gone {
        Some(at) => seen.gone.push(micros_between(closed, at)),
        None => seen.lost[0] += 1,
    }
    let last = heard.into_iter().collect::<Option<Vec<Canceled>>>();
    match last.and_then(|calls| calls.into_iter().map(|canceled| canceled.at).max()) {
        Some(at) => seen.heard.push(micros_between(closed, at)),
        None => seen.lost[1] += 1,
    }
    Ok(())
}
