//! What a run showed: how it ended, and what stopped it.

use toolplane_sandbox::{Code, Failure, Limit, Outcome, StoppedBy};

/// Exceptions of whoever reaches for what a program has not got.
const MISSING: [&str; 5] =
    ["NameError", "AttributeError", "ModuleNotFoundError", "ImportError", "NotImplementedError"];

/// One run as the documents tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// In the words of the corpus: a code, or the limit where that is the code.
    pub(crate) ending: String,
    /// The type of the exception, where one ended it.
    pub(crate) exception: Option<String>,
    pub(crate) stopped_by: &'static str,
}

impl Seen {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        match &outcome.end {
            Ok(_) => {
                Self { ending: "ok".to_owned(), exception: None, stopped_by: "nothing: it does no harm" }
            }
            Err(failure) => Self {
                ending: ending(failure).to_owned(),
                exception: exception(failure).map(str::to_owned),
                stopped_by: mechanism(outcome.stopped_by, failure),
            },
        }
    }
}

fn ending(failure: &Failure) -> &'static str {
    match failure.limit {
        Some(limit) if failure.code == Code::LimitExceeded => limit.as_str(),
        _ => failure.code.as_str(),
    }
}

fn exception(failure: &Failure) -> Option<&str> {
    (failure.code == Code::RuntimeError)
        .then(|| failure.message.split_once(':').map_or(failure.message.as_str(), |(kind, _)| kind))
}

fn mechanism(stopped_by: StoppedBy, failure: &Failure) -> &'static str {
    match stopped_by {
        StoppedBy::Worker => within_the_process(failure),
        StoppedBy::Abort => "the host's clock, while it waited",
        StoppedBy::Kill => "the host's kill",
        StoppedBy::Ceiling => "the allocator's ceiling",
        StoppedBy::Check => "the check of messages",
        StoppedBy::Crash => "the end of the process",
        StoppedBy::Host => "the source cap",
    }
}

/// What the worker itself stopped, or was told of.
fn within_the_process(failure: &Failure) -> &'static str {
    // A program may raise what a limit or the parser would: it mislabels its own end, and that is no mechanism of ours.
    if raises_a_likeness(failure) {
        return "an exception that it raised itself";
    }
    match (failure.code, failure.limit) {
        (Code::SyntaxError | Code::UnsupportedSyntax, _) => "the parser",
        (Code::RuntimeError, _) => of_an_exception(failure),
        (Code::ToolError, _) => "an exception from the call",
        (_, Some(Limit::Duration)) => "the clock in the process",
        (_, Some(Limit::Memory)) => "the memory count, at a checkpoint",
        (_, Some(Limit::Allocations)) => "the allocation count, at a checkpoint",
        (_, Some(Limit::Recursion)) => "the depth check",
        (_, Some(Limit::NestedCalls)) => "the call cap",
        (_, Some(Limit::Result)) => "the result cap",
        _ => panic!("no worker tells this: {failure:?}"),
    }
}

fn of_an_exception(failure: &Failure) -> &'static str {
    match exception(failure) {
        Some("PermissionError") => "the refusal of what it asks of the system",
        Some(kind) if MISSING.contains(&kind) => "an exception: what it wants is not there",
        _ => "an exception of another kind",
    }
}

/// Whether the statement that ended it raises what a limit, or the parser, raises.
fn raises_a_likeness(failure: &Failure) -> bool {
    let likenesses: &[&str] = match (failure.code, failure.limit) {
        (Code::SyntaxError | Code::UnsupportedSyntax, _) => &["SyntaxError", "NotImplementedError"],
        (_, Some(Limit::Duration)) => &["TimeoutError"],
        (_, Some(Limit::Memory)) => &["MemoryError"],
        (_, Some(Limit::Recursion)) => &["RecursionError"],
        _ => return false,
    };
    // The last line is the message; above it stands the statement.
    let statement = failure.traceback.as_deref().and_then(|text| text.lines().rev().nth(1));
    let raised = statement.and_then(|line| line.trim().strip_prefix("raise "));
    raised.is_some_and(|raised| likenesses.iter().any(|kind| raised.starts_with(kind)))
}
