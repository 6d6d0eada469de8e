//! What came of a run.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Everything that is known of a run at its end.
#[derive(Debug)]
pub struct Outcome {
    /// The last expression, or why there is none.
    pub end: Result<Value, Failure>,
    /// What brought it about.
    pub stopped_by: StoppedBy,
    /// What was printed.
    pub stdout: String,
    /// Whether more was printed than [`Outcome::stdout`] holds.
    pub truncated: bool,
    /// The calls that were made, in the order in which they were started.
    pub calls: Vec<Call>,
    /// Something that the author of the program should know although it ended well.
    pub note: Option<String>,
    /// Until the program began: the wait for a worker.
    pub start_time: Duration,
    /// From then on.
    pub run_time: Duration,
}

/// The value of the last expression.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Value {
    /// What Python's `str` makes of it; nothing for `None`.
    pub text: String,
    /// The same as JSON.
    pub json: Box<RawValue>,
}

/// A call of a tool that a program made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its place in [`crate::Program::tools`].
    pub tool: usize,
    /// How it went.
    pub status: Status,
    /// How long it took.
    pub duration: Duration,
}

/// How a call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It was answered.
    Done,
    /// It failed.
    Failed {
        /// A word for programs.
        code: String,
        /// Whoever made the call knows how far it came.
        effect: Effect,
    },
    /// The run ended before its turn came.
    NotStarted,
    /// The run ended before it did.
    Abandoned,
}

/// Whether a call took effect, so that nobody repeats blindly what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The tool ran to its end.
    Done,
    /// Nothing was sent to the tool: the call may be repeated.
    Nothing,
    /// It may have run, in whole or in part.
    Unknown,
}

/// Why a program has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure.
    pub code: Code,
    /// A sentence; where an exception ended the program, its type and message.
    pub message: String,
    /// Which limit, where one ended it.
    pub limit: Option<Limit>,
    /// Where in the source.
    pub line: Option<u32>,
    /// The way there, as Python writes it.
    pub traceback: Option<String>,
    /// What to write instead.
    pub hint: Option<String>,
}

/// What kind of failure ended a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// It is no Python.
    SyntaxError,
    /// It is Python that this interpreter does not have.
    UnsupportedSyntax,
    /// An exception of its own.
    RuntimeError,
    /// A tool failed and the program did not catch it.
    ToolError,
    /// One of the limits, see [`Limit`].
    LimitExceeded,
    /// It called tools more often than it may.
    NestedCallLimit,
    /// Its result is larger than it may be.
    ResultTooLarge,
    /// Its source is larger than it may be.
    SourceTooLarge,
    /// The worker died or told nonsense.
    SandboxCrashed,
    /// No worker could be started.
    SandboxUnavailable,
}

/// Which limit ended a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Wall-clock time.
    Duration,
    /// Live bytes.
    Memory,
    /// Allocations in all.
    Allocations,
    /// Frames on top of each other.
    Recursion,
    /// Calls of tools.
    NestedCalls,
    /// Bytes of the result.
    Result,
    /// Bytes of the source.
    Source,
}

/// What brought the end of a run about, as the host saw it: it does not believe what a worker says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoppedBy {
    /// The worker told how the program ended: by itself, by an exception, or at a limit that the process itself watches.
    Worker,
    /// The host said that time was up to a worker whose program did nothing but wait for calls.
    Abort,
    /// The host killed a worker that did not end in time.
    Kill,
    /// The worker's allocator ended the process.
    Ceiling,
    /// The host was told something that it does not take, and killed the worker.
    Check,
    /// The process ended, and nobody said why.
    Crash,
    /// The host began no run.
    Host,
}

// ── Outcome ──

impl Outcome {
    /// Of a program that never began.
    pub(crate) fn without_a_run(failure: Failure, start_time: Duration) -> Self {
        Self {
            end: Err(failure),
            stopped_by: StoppedBy::Host,
            stdout: String::new(),
            truncated: false,
            calls: Vec::new(),
            note: None,
            start_time,
            run_time: Duration::ZERO,
        }
    }
}

// ── Status ──

impl Status {
    /// Whether the call took effect.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Done => Effect::Done,
            Self::Failed { code: _, effect } => *effect,
            Self::NotStarted => Effect::Nothing,
            Self::Abandoned => Effect::Unknown,
        }
    }
}

// ── Effect ──

impl Effect {
    /// As callers read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Nothing => "none",
            Self::Unknown => "unknown",
        }
    }
}

// ── Failure ──

impl Failure {
    /// One without a place in the source.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), limit: None, line: None, traceback: None, hint: None }
    }

    pub(crate) fn at_limit(limit: Limit, message: impl Into<String>) -> Self {
        let code = match limit {
            Limit::Duration | Limit::Memory | Limit::Allocations | Limit::Recursion => Code::LimitExceeded,
            Limit::NestedCalls => Code::NestedCallLimit,
            Limit::Result => Code::ResultTooLarge,
            Limit::Source => Code::SourceTooLarge,
        };
        Self { limit: Some(limit), ..Self::new(code, message) }
    }
}

// ── Code ──

impl Code {
    /// As callers read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SyntaxError => "syntax_error",
            Self::UnsupportedSyntax => "unsupported_syntax",
            Self::RuntimeError => "runtime_error",
            Self::ToolError => "tool_error",
            Self::LimitExceeded => "limit_exceeded",
            Self::NestedCallLimit => "nested_call_limit",
            Self::ResultTooLarge => "result_too_large",
            Self::SourceTooLarge => "source_too_large",
            Self::SandboxCrashed => "sandbox_crashed",
            Self::SandboxUnavailable => "sandbox_unavailable",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// ── Limit ──

impl Limit {
    /// As callers and metrics read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Memory => "memory",
            Self::Allocations => "allocations",
            Self::Recursion => "recursion",
            Self::NestedCalls => "nested_calls",
            Self::Result => "result",
            Self::Source => "source",
        }
    }
}
