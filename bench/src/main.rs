//! Measures the release binary as its users run it: real processes, real sockets, real databases.
//!
//! One module per [`group`] of measurements; its parts return [`report::Section`]s and know nothing of how they are
//! kept. What groups share is in [`world`]: processes, the fleet, the registry they are given, machine facts; and
//! [`target`]: what a figure is to be, and whether it is. [`load`], [`static_upstream`] and [`pass_through`] are processes
//! around what is measured. `scripts/bench` builds what this starts; `bench/README.md` says how a group is added.

#![expect(clippy::indexing_slicing, reason = "a measurement that meets a surprise is to stop")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tables go to stdout, progress to stderr")]

mod call;
mod code;
mod group;
mod hook_service;
mod hooks;
mod load;
mod pass_through;
mod report;
mod static_upstream;
mod sync;
mod target;
mod world;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::group::{GROUPS, Group};

/// Measure a release build of `toolplane`
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// What to measure [default: everything]
    #[arg(value_parser = PossibleValuesParser::new(GROUPS.iter().map(|group| group.name)))]
    groups: Vec<String>,
    /// Only the part of this name; where there is none, those whose name contains it
    #[arg(long)]
    only: Option<String>,
    /// The binary
    #[arg(long, default_value = "target/release/toolplane")]
    binary: PathBuf,
    /// Measure for an instant each: shows that everything runs, and its figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Another gateway to compare with, whose name says how it is started; may be repeated
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

/// What every part is given.
#[derive(Debug)]
struct Setting {
    binary: PathBuf,
    only: Option<String>,
    quick: bool,
    /// Other gateways: what they are called, and their interpreter.
    peers: Vec<(String, PathBuf)>,
}

impl Setting {
    fn wants(&self, part: &str) -> bool {
        let Some(only) = self.only.as_deref() else { return true };
        let is_a_name = GROUPS.iter().flat_map(|group| group.parts).any(|part| part.name == only);
        if is_a_name { part == only } else { part.contains(only) }
    }

    /// How long something is measured.
    fn seconds(&self, full: f64) -> f64 {
        if self.quick { 0.1 } else { full }
    }

    /// How many times.
    fn times(&self, full: usize) -> usize {
        if self.quick { 1 } else { full }
    }

    #[cfg(test)]
    fn of_test() -> Self {
        Self { binary: "toolplane".into(), only: None, quick: true, peers: Vec::new() }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { role, groups, only, quick, binary, peers, results } = Arguments::parse();
    match role {
        None => {}
        Some(Role::Load) => return load::run().await,
        Some(Role::Upstream) => return static_upstream::run().await,
        Some(Role::HookService { socket }) => return hook_service::run(socket).await,
        Some(Role::PassThrough { upstream }) => return pass_through::run(upstream).await,
    }
    let binary = binary.canonicalize().with_context(|| format!("no binary at {}", binary.display()))?;
    let named = |group: &&Group| groups.is_empty() || groups.iter().any(|name| name == group.name);
    let groups: Vec<&Group> = GROUPS.iter().filter(named).collect();
    let setting = Setting { binary, only, quick, peers };
    // Whoever breaks this off must not leave processes behind: they end when what holds them is dropped.
    tokio::select! {
        outcome = group::run(&groups, &setting, &results) => outcome,
        () = told_to_stop() => anyhow::bail!("broken off"),
    }
}

fn peer(text: &str) -> anyhow::Result<(String, PathBuf)> {
    let (name, python) = text.split_once('=').context("it has the form NAME=PYTHON")?;
    Ok((name.to_owned(), PathBuf::from(python)))
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
