//! The `toolplane` binary: runs either plane or both, and the operator's commands.
//!
//! # Responsibilities
//!
//! * Everything global to the process: the command line, the environment, signals, the log, the exit code.
//! * Assembling the planes, and the commands that speak to them.
//!
//! # Not here
//!
//! No rule about tools, upstreams or callers: those are in the planes.
//!
//! # Layout
//!
//! [`args`] is what was typed, [`mod@env`] and [`settings`] what it means together with the environment, [`commands`]
//! what is done, [`manifest`] what the registry is to be as files say it, [`output`] what is printed, [`exit`] what the process ends with.

mod args;
mod client;
mod commands;
mod crash_points;
mod env;
mod exit;
mod limits;
mod manifest;
mod mcp_client;
mod output;
mod python;
mod settings;
mod shutdown;
mod telemetry;

use std::process::ExitCode;

/// Counts in workers of code mode, and is the system's allocator elsewhere.
#[global_allocator]
static ALLOCATOR: toolplane_sandbox::Accounting = toolplane_sandbox::Accounting;

fn main() -> ExitCode {
    // A worker reads no setting and starts no runtime: it is this binary and nothing else of it.
    toolplane_sandbox::worker::run_if_asked().unwrap_or_else(gateway)
}

#[tokio::main]
async fn gateway() -> ExitCode {
    match commands::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure);
            failure.code()
        }
    }
}
