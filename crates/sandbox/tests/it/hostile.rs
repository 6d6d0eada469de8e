//! Programs that mean harm: each is contained, and its neighbors are served.
//!
//! `tests/hostile/*.py` holds them. A line `## name: ending …` begins one and names the endings that contain it; `«text×n»` stands
//! for a text n times, `␀` for the character that ends strings elsewhere.
//! The table in `docs/CODE-MODE.md` is made of them: `UPDATE_CODE_MODE_DOC=1 cargo test -p toolplane-sandbox hostile` writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;
use toolplane_sandbox::{Code, Limits, Options, Pool};

use crate::harness::{Tools, options, program};

/// How many run at one time.
const AT_ONCE: usize = 4;

/// What a program may do before it is stopped, kept short so that hundreds of them take seconds.
/// What a program is given on a machine that was too busy for its first run.
const PATIENCE: Duration = Duration::from_secs(20);

fn limits() -> Limits {
    Limits {
        duration: Duration::from_millis(700),
        memory: 64 * 1024 * 1024,
        allocations: 3_000_000,
        answer: 1_000_000,
        ..Limits::default()
    }
}

struct Hostile {
    kind: String,
    name: String,
    endings: Vec<String>,
    source: String,
}

fn corpus() -> Vec<Hostile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("the corpus").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let mut programs = Vec::new();
    for file in files {
        let kind = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("text");
        for part in text.split("## ").skip(1) {
            let (head, source) = part.split_once('\n').expect("a source");
            let (name, endings) = head.split_once(": ").unwrap_or_else(|| panic!("{head}"));
            programs.push(Hostile {
                kind: kind.clone(),
                name: name.to_owned(),
                endings: endings.split_whitespace().map(str::to_owned).collect(),
                source: expand(source),
            });
        }
    }
    programs
}

fn expand(source: &str) -> String {
    let mut expanded = String::new();
    let mut parts = source.split('«');
    expanded.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (repeat, rest) = part.split_once('»').expect("an end");
        let (text, times) = repeat.rsplit_once('×').expect("a number of times");
        expanded.push_str(&text.repeat(times.parse().expect("a number")));
        expanded.push_str(rest);
    }
    expanded.replace('␀', "\0")
}

/// What ended a program, in the words of the corpus.
async fn ending(pool: &Pool, hostile: &Hostile, limits: Limits) -> String {
    let outcome = pool.run(&program(&hostile.source, limits), &Tools).await;
    match outcome.end {
        Ok(_) => "ok".to_owned(),
        Err(failure) if failure.code == Code::LimitExceeded => {
            failure.limit.expect("a limit").as_str().to_owned()
        }
        Err(failure) => failure.code.as_str().to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_program_is_contained_and_others_are_served() {
    let pool =
        Pool::new(Options { ready: AT_ONCE, memory: limits().memory, duration: PATIENCE, ..options() });
    let pool = pool.expect("a pool");
    let programs = corpus();
    assert!(programs.len() >= 150, "{}", programs.len());
    let begun = Instant::now();
    let pool = &pool;
    let runs = programs.iter().map(|hostile| async move {
        let started = Instant::now();
        (hostile, ending(pool, hostile, limits()).await, started.elapsed())
    });
    let all = futures::stream::iter(runs).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    let neighbor = async {
        loop {
            let outcome =
                pool.run(&program("r = await echo('x')\nr['message']", Limits::default()), &Tools).await;
            assert_eq!(outcome.end.expect("the neighbor is served").text, "x");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended: Vec<(&Hostile, String, Duration)> = tokio::select! {
        ended = all => ended,
        () = neighbor => unreachable!("it is served until all is over"),
    };
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::<String, usize>::new());
    for (hostile, mut ending_seen, took) in ended {
        if ending_seen == "duration" && !hostile.endings.contains(&ending_seen) {
            // The machine was busy: given time, it must end as it should.
            let patient = Limits { duration: PATIENCE, ..limits() };
            ending_seen = ending(pool, hostile, patient).await;
        }
        if !hostile.endings.contains(&ending_seen) || took > Duration::from_secs(8) {
            wrong.push(format!(
                "{}/{}: {ending_seen} after {took:?}, not {:?}",
                hostile.kind, hostile.name, hostile.endings
            ));
        }
        *counts.entry(ending_seen).or_default() += 1;
    }
    println!("{} programs in {:?}: {counts:?}", programs.len(), begun.elapsed());
    assert!(wrong.is_empty(), "{wrong:#?}");
    let outcome = pool.run(&program("1 + 1", Limits::default()), &Tools).await;
    assert_eq!(outcome.end.expect("a result").text, "2");
}

/// What stops a program that ends so.
fn mechanism(ending: &str) -> &'static str {
    match ending {
        "ok" => "nothing: it does no harm",
        "duration" => "the clock",
        "memory" => "the memory count",
        "allocations" => "the allocation count",
        "recursion" => "the depth check",
        "syntax_error" | "unsupported_syntax" => "the parser",
        "runtime_error" => "an exception: what it wants is not there",
        "tool_error" => "an exception from the call",
        "nested_call_limit" => "the call cap",
        "result_too_large" => "the result cap",
        "source_too_large" => "the source cap",
        other => panic!("{other} is no ending"),
    }
}

/// The table of `docs/CODE-MODE.md`.
fn table(programs: &[Hostile]) -> String {
    let mut table = String::from("| kind | program | stopped by |\n|---|---|---|\n");
    for Hostile { kind, name, endings, source: _ } in programs {
        let mut by: Vec<&str> = endings.iter().map(|ending| mechanism(ending)).collect();
        by.dedup();
        writeln!(table, "| {kind} | {} | {} |", name.replace('_', " "), by.join("; or ")).expect("text");
    }
    table
}

#[test]
fn the_document_shows_every_program() {
    const BEGIN: &str = "<!-- hostile programs: begin -->\n";
    const END: &str = "<!-- hostile programs: end -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CODE-MODE.md");
    let document = fs::read_to_string(&path).expect("the document");
    let (before, rest) = document.split_once(BEGIN).expect("a beginning");
    let (_, after) = rest.split_once(END).expect("an end");
    let wanted = format!("{before}{BEGIN}\n{}\n{END}{after}", table(&corpus()));
    if std::env::var_os("UPDATE_CODE_MODE_DOC").is_some() {
        fs::write(&path, &wanted).expect("written");
    }
    assert!(
        document == wanted || fs::read_to_string(&path).expect("the document") == wanted,
        "UPDATE_CODE_MODE_DOC=1 writes it"
    );
}
