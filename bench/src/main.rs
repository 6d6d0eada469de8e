//! Measures the release binary as its users run it: real processes, real sockets, real databases.
//!
//! One module per family of benchmarks; a family returns [`report::Section`]s and knows nothing of how they are
//! kept. What families share is in [`world`]: processes, the fleet, the registry they are given, machine facts.
//! [`load`], [`static_upstream`] and [`pass_through`] are processes around what is measured. `scripts/bench` builds what
//! this starts.

#![expect(clippy::indexing_slicing, reason = "a measurement that meets a surprise is to stop")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tables go to stdout, progress to stderr")]

mod call;
mod code;
mod hook_service;
mod load;
mod pass_through;
mod report;
mod static_upstream;
mod sync;
mod world;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::world::machine;

/// Measure a release build of `toolplane`
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// What to measure [default: everything]
    families: Vec<Family>,
    /// Only the parts whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// The binary
    #[arg(long, default_value = "target/release/toolplane")]
    binary: PathBuf,
    /// Another gateway to compare with, started as `PYTHON -m fastmcp_gateway`; may be repeated
    #[arg(long = "peer", value_name = "NAME=PYTHON", value_parser = peer)]
    peers: Vec<(String, PathBuf)>,
    /// Where the tables are kept; sections that were not measured stay as they are
    #[arg(long, default_value = "bench/RESULTS.md")]
    results: PathBuf,
}

/// What this program is beside the one that measures: it starts itself as each of them.
#[derive(Debug, Subcommand)]
enum Role {
    /// Sends what a plan says
    #[command(hide = true)]
    Load,
    /// Answers as an upstream
    #[command(hide = true)]
    Upstream,
    /// Takes part in calls and changes nothing
    #[command(hide = true)]
    HookService {
        /// Where to listen
        socket: PathBuf,
    },
    /// Passes requests on
    #[command(hide = true)]
    PassThrough {
        /// `http://ADDRESS:PORT`
        upstream: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Family {
    /// What a call costs on its way through a node
    Call,
    /// What a program costs
    Code,
    /// What hooks cost
    Hooks,
    /// From a registration to a fleet that serves it
    Sync,
}

/// What every family is given.
#[derive(Debug)]
struct Setting {
    binary: PathBuf,
    only: Option<String>,
    /// Other gateways: what they are called, and their interpreter.
    peers: Vec<(String, PathBuf)>,
}

impl Setting {
    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| part.contains(only))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { role, families, only, binary, peers, results } = Arguments::parse();
    match role {
        None => {}
        Some(Role::Load) => return load::run().await,
        Some(Role::Upstream) => return static_upstream::run().await,
        Some(Role::HookService { socket }) => return hook_service::run(socket).await,
        Some(Role::PassThrough { upstream }) => return pass_through::run(upstream).await,
    }
    let binary = binary.canonicalize().with_context(|| format!("no binary at {}", binary.display()))?;
    let families = if families.is_empty() { Family::value_variants().to_vec() } else { families };
    let setting = Setting { binary, only, peers };
    // Whoever breaks this off must not leave processes behind: they end when what holds them is dropped.
    tokio::select! {
        outcome = measure(&families, &setting, &results) => outcome,
        () = told_to_stop() => anyhow::bail!("broken off"),
    }
}

fn hooks_python() -> Option<std::ffi::OsString> {
    std::env::var_os("BENCH_HOOKS_PYTHON")
}

fn peer(text: &str) -> anyhow::Result<(String, PathBuf)> {
    let (name, python) = text.split_once('=').context("it has the form NAME=PYTHON")?;
    Ok((name.to_owned(), PathBuf::from(python)))
}

async fn measure(families: &[Family], setting: &Setting, results: &Path) -> anyhow::Result<()> {
    let facts = machine::facts(&setting.binary).await;
    for family in families {
        let started = Instant::now();
        let sections = match family {
            Family::Call => call::run(setting).await?,
            Family::Code => code::run(setting).await?,
            Family::Hooks => vec![call::hooks::run(setting, hooks_python()).await?],
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
