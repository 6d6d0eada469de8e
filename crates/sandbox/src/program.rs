//! What is to be run: the source, the tools it may call, its limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A program and everything it may use.
#[derive(Debug, Clone)]
pub struct Program {
    /// Python.
    pub source: String,
    /// The tools that it may call; a nested call names one by its place here. The worker is told all of them, so only
    /// those belong here that the source spells: a program cannot reach a name that it does not spell.
    pub tools: Vec<Tool>,
    /// What ends it.
    pub limits: Limits,
}

/// A tool as the program sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// What the program calls, see [`crate::identifier`].
    pub identifier: String,
    /// Names of the arguments in the order of the signature, for positional ones.
    pub parameters: Vec<String>,
}

/// Bounds of one run; each ends the run, and nothing but the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time, waiting for tools included.
    pub duration: Duration,
    /// Bytes that are live at one time.
    pub memory: usize,
    /// Allocations in all.
    pub allocations: usize,
    /// Python frames on top of each other.
    pub recursion: usize,
    /// Calls of tools.
    pub calls: usize,
    /// Calls of tools at one time; the others wait their turn.
    pub concurrent_calls: usize,
    /// Bytes of Python source.
    pub source: usize,
    /// Bytes of the result, as text and as JSON.
    pub result: usize,
    /// Bytes of what is printed; more is cut off, with a mark.
    pub stdout: usize,
    /// Bytes of one answer of a tool; more is a failure of that call.
    pub answer: usize,
}

/// The largest source that is ever taken: the parser's recursion is within the worker's stack up to here.
pub const MAX_SOURCE: usize = 256 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(30),
            memory: 256 * 1024 * 1024,
            allocations: 10_000_000,
            recursion: 200,
            calls: 50,
            concurrent_calls: 16,
            source: MAX_SOURCE,
            result: 1024 * 1024,
            stdout: 64 * 1024,
            answer: 8 * 1024 * 1024,
        }
    }
}
