//! Exceptions of the interpreter as failures of ours.

mod hints;

use monty_types::{ExcType, MontyException, StackFrame};

use crate::accounting;
use crate::outcome::{Code, Failure, Limit};
use crate::program::Limits;

/// The name of the session; the interpreter names the pieces of source itself.
pub(super) const SCRIPT: &str = "code_mode.py";
/// What the interpreter calls the prelude.
const PRELUDE: &str = "<python-input-0>";

/// How its refusals of syntax begin.
const UNSUPPORTED: &str = "The monty syntax parser does not yet support ";

const MAX_MESSAGE: usize = 4 * 1024;
const MAX_TRACEBACK: usize = 16 * 1024;
const MAX_LINE: usize = 200;
const MAX_FRAMES: usize = 20;

/// What is known beside the exception.
pub(super) struct Context<'a> {
    /// The limit for which the engine ended the program.
    pub(super) limit: Option<Limit>,
    pub(super) limits: &'a Limits,
    /// Messages of failed calls that the program was told.
    pub(super) told: &'a [String],
}

/// The failure that an exception is, when a program did not catch it.
pub(super) fn describe(exception: &MontyException, context: &Context<'_>) -> Failure {
    let frames: Vec<&StackFrame> =
        exception.traceback().iter().filter(|frame| frame.filename != PRELUDE).collect();
    let mut failure = classify(exception, context);
    failure.line = frames.last().map(|frame| frame.start.line);
    failure.traceback = (!frames.is_empty()).then(|| traceback(&frames, &failure.message));
    failure
}

fn classify(exception: &MontyException, context: &Context<'_>) -> Failure {
    let message = exception.message().unwrap_or_default();
    if let Some(limit) = context.limit.or_else(accounting::reason).or_else(|| limit(exception, context)) {
        return at_limit(limit, context.limits);
    }
    let said = clipped(
        &if message.is_empty() {
            type_name(exception)
        } else {
            format!("{}: {message}", type_name(exception))
        },
        MAX_MESSAGE,
    );
    if exception.exc_type() == ExcType::NotImplementedError
        && let Some(what) = message.strip_prefix(UNSUPPORTED)
    {
        let mut failure =
            Failure::new(Code::UnsupportedSyntax, format!("not supported: {}", clipped(what, MAX_LINE)));
        failure.hint = Some(hints::instead_of(what).to_owned());
        return failure;
    }
    let code = match exception.exc_type() {
        ExcType::SyntaxError => Code::SyntaxError,
        ExcType::RuntimeError if context.told.iter().any(|told| told == message) => Code::ToolError,
        _ => Code::RuntimeError,
    };
    let mut failure = Failure::new(code, said);
    if code == Code::RuntimeError {
        failure.hint = hints::after(exception.exc_type(), message).map(str::to_owned);
    }
    failure
}

/// The limit of the interpreter's own that ended a program.
///
/// A program can raise these itself; it then mislabels its own end and nothing else.
fn limit(exception: &MontyException, context: &Context<'_>) -> Option<Limit> {
    let message = exception.message().unwrap_or_default();
    match exception.exc_type() {
        ExcType::TimeoutError if message.starts_with("time limit exceeded") => Some(Limit::Duration),
        ExcType::MemoryError => Some(Limit::Memory),
        ExcType::RecursionError => Some(Limit::Recursion),
        _ => context.limit,
    }
}

/// The same words wherever a limit is found to be exceeded.
pub(crate) fn at_limit(limit: Limit, limits: &Limits) -> Failure {
    let seconds = limits.duration.as_secs_f64();
    let message = match limit {
        Limit::Duration => format!("the program ran longer than {seconds} s, waiting for tools included"),
        Limit::Memory => format!("the program held more than {} bytes", limits.memory),
        Limit::Allocations => format!("the program allocated more than {} times", limits.allocations),
        Limit::Recursion => {
            format!("more than {} calls within each other, or data nested too deeply", limits.recursion)
        }
        Limit::NestedCalls => format!("the program called tools more than {} times", limits.calls),
        Limit::Result => format!("the result is larger than {} bytes", limits.result),
        Limit::Source => format!("the source is larger than {} bytes", limits.source),
    };
    Failure::at_limit(limit, message)
}

fn type_name(exception: &MontyException) -> String {
    exception.exc_type().to_string()
}

/// As Python writes it, the innermost frames where there are many.
fn traceback(frames: &[&StackFrame], message: &str) -> String {
    let mut text = String::from("Traceback (most recent call last):\n");
    let left_out = frames.len().saturating_sub(MAX_FRAMES);
    if left_out > 0 {
        text.extend(["  … ", &left_out.to_string(), " more\n"]);
    }
    for frame in frames.iter().skip(left_out) {
        let place = frame.frame_name.as_deref().unwrap_or("<module>");
        let line =
            format!("  File \"{SCRIPT}\", line {}, in {}\n", frame.start.line, clipped(place, MAX_LINE));
        text.push_str(&line);
        let line = frame.preview_line.as_deref().map(str::trim).filter(|line| !line.is_empty());
        if let Some(line) = line {
            text.extend(["    ", &clipped(line, MAX_LINE), "\n"]);
        }
    }
    text.push_str(message);
    clipped(&text, MAX_TRACEBACK)
}

fn clipped(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    format!("{}…", text.get(..text.floor_char_boundary(max)).unwrap_or_default())
}
