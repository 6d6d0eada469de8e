//! The load generator: a process of its own, so that what it costs can be told from what it measures.
//!
//! Owns connections that are kept alive, their timetable and what they count. It is given a [`Plan`] on its input,
//! opens every connection first, says when measuring begins, and ends with a [`Report`]. It never judges a figure, and
//! never parses an answer: a few bytes that only the right answer holds are looked for instead.

mod connection;
mod pace;
mod plan;
mod tally;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::world::usage::Usage;

pub(crate) use plan::{Plan, Prepared, Report, Times};

use connection::Connection;
use tally::Tally;

/// What the process says when measuring begins.
pub(crate) const BEGUN: &str = "begun";

/// When requests begin, and which of them count.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// The first request.
    opens: Instant,
    /// From here on answers count.
    begins: Instant,
    /// Up to here.
    ends: Instant,
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    plan: Plan,
    tally: Mutex<Tally>,
    window: watch::Sender<Option<Window>>,
}

/// Runs the plan that stands on the input; writes the report to the output.
pub(crate) async fn run() -> anyhow::Result<()> {
    // Nothing else runs yet that this could block.
    let text = std::io::read_to_string(std::io::stdin())?;
    let plan: Plan = serde_json::from_str(&text).context("the input is no plan")?;
    ensure!(!plan.requests.is_empty(), "a plan without requests");
    let report = follow(plan).await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn follow(plan: Plan) -> anyhow::Result<Report> {
    let (warm_up, measured) = (plan.warm_up, plan.measured);
    let [warm_up, measured] = [warm_up, measured].map(|time| Duration::from_secs_f64(time * plan.pace));
    let shared =
        Arc::new(Shared { plan, tally: Mutex::new(Tally::new()?), window: watch::Sender::new(None) });
    let mut connections = open(&shared).await?;
    let opens = Instant::now();
    let begins = opens + warm_up;
    let window = Window { opens, begins, ends: begins + measured };
    shared.window.send_replace(Some(window));
    tokio::time::sleep_until(window.begins).await;
    let before = Usage::of_this_process()?;
    println!("{BEGUN}");
    tokio::time::sleep_until(window.ends).await;
    let after = Usage::of_this_process()?;
    connections.abort_all();
    while connections.join_next().await.is_some() {}
    let tally = shared.tally.lock().map_err(|_| anyhow::anyhow!("a connection panicked"))?;
    Ok(tally.report(measured, after.cpu - before.cpu))
}

/// Opens every connection; each waits for the window then.
async fn open(shared: &Arc<Shared>) -> anyhow::Result<JoinSet<()>> {
    let (ready, mut opened) = mpsc::channel(shared.plan.connections.max(1));
    let mut connections = JoinSet::new();
    for number in 0..shared.plan.connections {
        let (shared, ready) = (Arc::clone(shared), ready.clone());
        connections.spawn(async move {
            let outcome = Connection::open(&shared.plan).await;
            let (outcome, connection) = match outcome {
                Ok(connection) => (Ok(()), Some(connection)),
                Err(error) => (Err(error), None),
            };
            // Nobody listens any more where another connection has failed already.
            drop(ready.send(outcome).await);
            if let Some(connection) = connection {
                connection.drive(&shared, number).await;
            }
        });
    }
    for _ in 0..shared.plan.connections {
        let outcome = opened.recv().await.context("a connection is lost")?;
        outcome.context("a connection cannot be opened")?;
    }
    Ok(connections)
}
