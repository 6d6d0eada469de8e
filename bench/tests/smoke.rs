//! Every part of the benchmarks of calls and programs runs from its start to its end, for an instant each and without a word on
//! figures.
//!
//! It needs the gateway beside it, which `cargo test --workspace` builds, and alone `cargo build -p toolplane`.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::print_stderr, reason = "says why it measures nothing")]

use std::path::Path;
use std::process::Command;

/// Runs one part of a group; its section has to be written.
fn measure(group: &str, part: &str, section: &str) {
    let bench = Path::new(env!("CARGO_BIN_EXE_toolplane-bench"));
    let gateway = bench.with_file_name("toolplane");
    if !gateway.exists() {
        eprintln!("skipped: there is no {}", gateway.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("RESULTS.md");
    let mut command = Command::new(bench);
    command.args([group, "--quick", "--only", part]).arg("--binary").arg(&gateway);
    let output = command.arg("--results").arg(&results).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let kept = std::fs::read_to_string(results).unwrap();
    assert!(kept.contains(&format!("<!-- begin {group}/{section} -->")), "{kept}\n{said}");
    assert!(kept.starts_with("# Benchmark results\n"), "{kept}");
}

macro_rules! parts {
    ($($part:ident)*) => {
        $(#[test] fn $part() { measure("call", stringify!($part), stringify!($part)); })*
    };
}

parts!(execute added requests memory cancel slow large peers meta grid million);

#[test]
fn programs() {
    measure("code", "programs", "programs");
}

#[test]
fn workers() {
    measure("code", "workers", "memory");
}

#[test]
fn abandoned() {
    measure("code", "abandoned", "cancel");
}

#[test]
fn neighbors() {
    measure("code", "neighbors", "neighbors");
}
