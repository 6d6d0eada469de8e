//! Programs that mean harm: each is contained, and its neighbors are served.
//!
//! The documents tell what stopped each: `UPDATE_CODE_MODE_DOC=1 cargo test -p toolplane-sandbox hostile` writes them.

mod corpus;
mod document;
pub(crate) mod seen;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;
use toolplane_sandbox::{Limits, Options, Pool};

use self::corpus::{Hostile, corpus};
use self::document::Row;
use self::seen::Seen;
use crate::harness::{Tools, options, program};
use crate::{limits as locks, lying};

/// How many run at one time.
const AT_ONCE: usize = 4;

/// What a program may take that the machine was too busy for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What workers are called in the list that break the rules.
const LYING: &str = "lying workers";
/// What is called there that a worker might ask the kernel for.
const SYSTEM_CALLS: &str = "system calls";

/// What a program may do before it is stopped, kept short so that hundreds of them take seconds.
fn limits() -> Limits {
    Limits {
        duration: Duration::from_millis(700),
        memory: 64 * 1024 * 1024,
        allocations: 3_000_000,
        answer: 1_000_000,
        ..Limits::default()
    }
}

async fn seen(pool: &Pool, hostile: &Hostile, limits: Limits) -> Seen {
    Seen::of(&pool.run(&program(&hostile.source, limits), &Tools).await)
}

/// One run, and another where the machine was too busy for the first: given time, it must end as it should.
async fn seen_in_time(pool: &Pool, hostile: &Hostile) -> (Seen, Duration) {
    let started = Instant::now();
    let first = seen(pool, hostile, limits()).await;
    let took = started.elapsed();
    if first.ending != "duration" || hostile.endings.contains(&first.ending) {
        return (first, took);
    }
    let patient = Limits { duration: PATIENCE, ..limits() };
    (seen(pool, hostile, patient).await, took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_program_is_contained_and_others_are_served() {
    let pool = Pool::new(Options {
        ready: AT_ONCE,
        memory: limits().memory,
        // A worker has processor time for no more.
        duration: PATIENCE,
        ..options()
    });
    let pool = &pool.expect("a pool");
    let programs = corpus();
    assert!(programs.len() >= 150, "{}", programs.len());
    // What is to be told of each is not to depend on what runs beside it.
    let at_once = if document::is_to_be_written() { 1 } else { AT_ONCE };
    let begun = Instant::now();
    let runs = programs.iter().map(|hostile| async move { (hostile, seen_in_time(pool, hostile).await) });
    let all = futures::stream::iter(runs).buffered(at_once).collect::<Vec<_>>();
    let ended = tokio::select! {
        ended = all => ended,
        () = serve_a_neighbor(pool) => unreachable!("it is served until all is over"),
    };
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for (hostile, (seen, took)) in &ended {
        if !hostile.endings.contains(&seen.ending) || *took > Duration::from_secs(8) {
            wrong.push(format!(
                "{}/{}: {seen:?} after {took:?}, not {:?}",
                hostile.kind, hostile.name, hostile.endings
            ));
        }
        *counts.entry(seen.stopped_by).or_default() += 1;
    }
    println!("{} programs in {:?}: {counts:#?}", programs.len(), begun.elapsed());
    assert!(wrong.is_empty(), "{wrong:#?}");
    let outcome = pool.run(&program("1 + 1", Limits::default()), &Tools).await;
    assert_eq!(outcome.end.expect("a result").text, "2");
    if document::is_to_be_written() {
        let programs = ended.iter().map(|(hostile, (seen, _))| Row::of(&hostile.kind, &hostile.name, seen));
        let mut rows: Vec<Row> = programs.collect();
        rows.extend(rows_of_workers().await);
        document::write(&rows);
    }
}

/// Runs harmless programs on the same pool, for ever.
async fn serve_a_neighbor(pool: &Pool) {
    loop {
        let outcome =
            pool.run(&program("r = await echo('x')\nr['message']", Limits::default()), &Tools).await;
        assert_eq!(outcome.end.expect("the neighbor is served").text, "x");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What stops a worker that is no longer what it was.
async fn rows_of_workers() -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, says) in lying::lies() {
        rows.push(Row::of(LYING, what, &Seen::of(&lying::outcome_of(&says, lying::THEN_WAITS).await)));
    }
    for (what, is_refused) in locks::attempts() {
        assert!(is_refused, "{what}");
        let seen =
            Seen { ending: "refused".to_owned(), exception: None, stopped_by: "the filter of system calls" };
        rows.push(Row::of(SYSTEM_CALLS, &what, &seen));
    }
    rows
}

#[cfg(target_os = "linux")]
#[test]
fn the_documents_show_every_program() {
    if document::is_to_be_written() {
        println!("skipped: they are being written");
        return;
    }
    let rows = document::rows();
    let listed: Vec<(&str, &str)> = rows.iter().map(|row| (row.kind.as_str(), row.name.as_str())).collect();
    let (programs, lies, attempts) = (corpus(), lying::lies(), locks::attempts());
    let mut all: Vec<(&str, &str)> =
        programs.iter().map(|hostile| (hostile.kind.as_str(), hostile.name.as_str())).collect();
    all.extend(lies.iter().map(|(what, _)| (LYING, *what)));
    all.extend(attempts.iter().map(|(what, _)| (SYSTEM_CALLS, what.as_str())));
    assert_eq!(listed, all, "UPDATE_CODE_MODE_DOC=1 writes the list");
    for (row, hostile) in rows.iter().zip(&programs) {
        let ending = row.ending().to_owned();
        assert!(hostile.endings.contains(&ending), "{row:?}: UPDATE_CODE_MODE_DOC=1 writes the list");
    }
    assert!(document::sums_are_of(&rows), "UPDATE_CODE_MODE_DOC=1 writes the sums");
}
