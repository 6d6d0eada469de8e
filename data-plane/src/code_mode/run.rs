//! One run: the program in its sandbox, and its calls on the way that direct calls take.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde_json::value::RawValue;
use toolplane_registry::RawJson;
use toolplane_registry::view::Entry;
use toolplane_sandbox::pool::{Answered, Given};
use toolplane_sandbox::{Calls, Effect, NestedCall, Outcome, Program, ToolFailure};
use toolplane_upstream::connector::Room;
use tracing::{Instrument as _, Span};

use super::CodeMode;
use super::audit::Audit;
use super::bindings::Bindings;
use super::guarded::{self, Guarded};
use crate::caller::Caller;
use crate::live::Served;
use crate::mcp::Extras;
use crate::mcp::error::OUTPUT_GUARD_REJECT;
use crate::mcp::execute_tool::Executor;
use crate::mcp::execute_tool::call::is_destructive;
use crate::metrics::Metrics;

/// What a run works with.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) code_mode: &'a CodeMode,
    pub(crate) executor: &'a Executor,
    pub(crate) served: &'a Served,
    pub(crate) caller: &'a Caller,
    pub(crate) metrics: &'a Metrics,
    /// What comes with the outer call; every nested one has it, too.
    pub(crate) extras: Extras,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    /// What the output guard made of it.
    pub(crate) guarded: Guarded,
    /// The published names of the tools that were called.
    pub(crate) names: Vec<String>,
}

/// Room for the reply of one nested call. It is given back when the program has the answer: the outer call may have many.
#[derive(Debug)]
struct Loan {
    room: Arc<dyn Room>,
    taken: AtomicUsize,
}

/// Makes the calls of one run.
struct Nested<'a> {
    run: &'a Run<'a>,
    audit: &'a Audit,
    entries: Vec<&'a Entry>,
    bars_destructive: bool,
}

impl Run<'_> {
    /// Runs a program that calls what is bound.
    pub(crate) async fn program(&self, source: &str, bindings: Bindings<'_>, visible: usize) -> Ended {
        let settings = self.code_mode.settings();
        let audit = Audit::begin(source, self.caller.subject(), settings.audit_verbatim);
        let span = Span::current();
        span.record("code_sha256", audit.sha256());
        span.record("code_byte_len", source.len());
        span.record("code_session_id", audit.session());
        span.record("visible_tool_count", visible);
        let (entries, tools) = bindings.mentioned(source);
        let bars_destructive = self.served.snapshot().settings().code_mode.deny_destructive;
        let program = Program { source: source.to_owned(), tools, limits: settings.limits };
        let nested = Nested { run: self, audit: &audit, entries, bars_destructive };
        let running = self.metrics.code_run();
        let mut outcome = self.code_mode.pool.run(&program, &nested).await;
        let called: Vec<Option<&Entry>> =
            outcome.calls.iter().map(|call| nested.entries.get(call.tool).copied()).collect();
        let guarded = guarded::guard(&self.executor.guard, called.iter().flatten().copied(), &mut outcome);
        let code = code(&outcome, guarded);
        span.record("step_count", audit.steps());
        span.record("duration_ms", outcome.run_time.as_secs_f64() * 1000.0);
        span.record("is_error", code.is_some());
        span.record("error_code", code);
        running.ended(&outcome, code);
        let name = |entry: Option<&Entry>| entry.map_or_else(String::new, |entry| entry.name().to_owned());
        let names = called.into_iter().map(name).collect();
        drop(nested);
        audit.end(code);
        Ended { outcome, guarded, names }
    }
}

impl Calls for Nested<'_> {
    fn call(&self, call: NestedCall) -> Pin<Box<dyn Future<Output = Answered> + Send + '_>> {
        Box::pin(self.step(call))
    }
}

impl Nested<'_> {
    async fn step(&self, call: NestedCall) -> Answered {
        let NestedCall { tool, arguments } = call;
        // The sandbox has checked the number; a missing tool would be a fault of ours.
        let Some(entry) = self.entries.get(tool) else { return Err(barred("not_found", "no such tool")) };
        self.audit.step(entry.name());
        if self.bars_destructive && is_destructive(entry.tool()) {
            let reason = format!("{} may destroy something and is barred from code mode", entry.name());
            return Err(barred("forbidden", &reason));
        }
        let span = tracing::info_span!(
            "gateway.code_mode.step",
            tool_name = entry.name(),
            code_session_id = self.audit.session(),
            gateway.domain = tracing::field::Empty,
            gateway.error_code = tracing::field::Empty,
        );
        self.answer(entry, arguments).instrument(span).await
    }

    async fn answer(&self, entry: &Entry, arguments: Box<RawValue>) -> Answered {
        let Run { executor, served, caller, extras, .. } = self.run;
        let nested = caller.nested(self.audit.session());
        // Its answers to a tool's questions belong to another call, and nobody can be asked from inside a program.
        let loan = extras.room.as_ref().map(Loan::of);
        let room = loan.clone().map(|loan| loan as Arc<dyn Room>);
        let extras = Extras { dialog: None, room, ..extras.clone() };
        let answer =
            Box::pin(executor.execute_for_code(served, &nested, entry, RawJson::from(arguments), extras))
                .await;
        match answer {
            // The answer takes room until the program has it.
            Ok(value) => match serde_json::from_str(value.as_str()) {
                Ok(json) => Ok(Given { json, held: loan.map(|loan| loan as Arc<dyn Send + Sync>) }),
                Err(_) => Err(failure("execution_error", "the answer is no JSON", Effect::Done)),
            },
            Err(error) => {
                Span::current().record("gateway.error_code", error.kind());
                Err(failure(error.code(), &error.to_string(), error.effect()))
            }
        }
    }
}

impl Loan {
    fn of(room: &Arc<dyn Room>) -> Arc<Self> {
        Arc::new(Self { room: Arc::clone(room), taken: AtomicUsize::new(0) })
    }
}

impl Room for Loan {
    fn take(&self, bytes: usize) -> bool {
        let is_taken = self.room.take(bytes);
        if is_taken {
            self.taken.fetch_add(bytes, Relaxed);
        }
        is_taken
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Relaxed);
        self.room.give_back(bytes);
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let taken = *self.taken.get_mut();
        if taken > 0 {
            self.room.give_back(taken);
        }
    }
}

/// The word for how a run ended; nothing where it ended well.
fn code(outcome: &Outcome, guarded: Guarded) -> Option<&'static str> {
    match guarded {
        Guarded::Rejected => Some(OUTPUT_GUARD_REJECT),
        Guarded::Untouched | Guarded::Modified { .. } => {
            outcome.end.as_ref().err().map(|failure| failure.code.as_str())
        }
    }
}

/// Of a call that goes no further than here.
fn barred(code: &str, message: &str) -> ToolFailure {
    failure(code, message, Effect::Nothing)
}

fn failure(code: &str, message: &str, effect: Effect) -> ToolFailure {
    ToolFailure { code: code.to_owned(), message: message.to_owned(), effect }
}
