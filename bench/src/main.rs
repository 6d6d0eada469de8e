//! Measures the release binary as its users run it: real processes, real sockets, real databases.
//!
//! One module per family of benchmarks; a family returns [`report::Section`]s and knows nothing of how they are
//! kept. What families share is in [`world`]: processes, the fleet, the registry they are given, machine facts.
//! `scripts/bench` builds what this starts.

#![expect(clippy::indexing_slicing, reason = "a measurement that meets a surprise is to stop")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tables go to stdout, progress to stderr")]

mod report;
mod sync;
mod world;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::world::machine;

/// Measure a release build of `toolplane`
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure [default: everything]
    families: Vec<Family>,
    /// Only the parts whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// The binary
    #[arg(long, default_value = "target/release/toolplane")]
    binary: PathBuf,
    /// Where the tables are kept; sections that were not measured stay as they are
    #[arg(long, default_value = "bench/RESULTS.md")]
    results: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Family {
    /// From a registration to a fleet that serves it
    Sync,
}

/// What every family is given.
#[derive(Debug)]
struct Setting {
    binary: PathBuf,
    only: Option<String>,
}

impl Setting {
    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| part.contains(only))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { families, only, binary, results } = Arguments::parse();
    let binary = binary.canonicalize().with_context(|| format!("no binary at {}", binary.display()))?;
    let families = if families.is_empty() { Family::value_variants().to_vec() } else { families };
    let setting = Setting { binary, only };
    // Whoever breaks this off must not leave processes behind: they end when what holds them is dropped.
    tokio::select! {
        outcome = measure(&families, &setting, &results) => outcome,
        () = told_to_stop() => anyhow::bail!("broken off"),
    }
}

async fn measure(families: &[Family], setting: &Setting, results: &Path) -> anyhow::Result<()> {
    let facts = machine::facts(&setting.binary).await;
    for family in families {
        let started = Instant::now();
        let sections = match family {
            Family::Sync => sync::run(setting).await?,
        };
        for section in sections {
            println!("{}", section.text(&facts));
            report::keep(results, &section, &facts)?;
        }
        eprintln!("{family:?} took {} s", started.elapsed().as_secs());
    }
    Ok(())
}

async fn told_to_stop() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
