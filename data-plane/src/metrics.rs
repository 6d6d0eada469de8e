//! Every instrument of a node, declared once.
//!
//! Owns their names, units and descriptions, and what an attribute may be: closed sets of words, and domains, whose
//! number the registry bounds. Never a tool, an id or anything that a caller wrote. Where the numbers go is not
//! known here: a [`Meter`] is handed in, and without one nothing is measured.

mod code_mode;
mod hooks;
mod load;
mod served;
mod upstreams;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, InstrumentProvider, Meter, UpDownCounter};
use tokio::time::Instant;
use toolplane_registry::Domain;
use toolplane_upstream::Error as UpstreamError;
use toolplane_upstream::client::SpareSessions;
use toolplane_upstream::limits::call::Error as CallError;

pub(crate) use self::code_mode::CodeRun;
pub(crate) use self::hooks::HookCall;
use crate::code_mode::Full;
use crate::live::{Live, Upstreams};
use crate::options::Capacity;
use crate::shed::Gate;

/// From a millisecond to the longest call that is allowed by default.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// From one small domain to the largest update that is accepted by default.
const BYTES: [f64; 9] = [1e3, 1e4, 1e5, 3e5, 1e6, 3e6, 1e7, 1e8, 268_435_456.0];

/// The instruments. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    /// Without a meter not even attributes are put together.
    on: bool,
    updates: Counter<u64>,
    update_duration: Histogram<f64>,
    update_size: Histogram<u64>,
    last_good_writes: Counter<u64>,
    last_good_duration: Histogram<f64>,
    call_duration: Histogram<f64>,
    active_calls: UpDownCounter<i64>,
    upstream_calls: Counter<u64>,
    upstream_duration: Histogram<f64>,
    limits: Counter<u64>,
    hooks: hooks::Instruments,
    code_mode: code_mode::Instruments,
}

/// A limit that somebody ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// A request body was larger than accepted.
    BodySize,
    /// A request body did not arrive in time.
    BodyTime,
    /// A connection sent no request in time; idle ones end so, too.
    HeadTime,
    /// Nobody took an answer in time.
    AnswerTime,
}

/// A call that is being answered; counted as active until it is dropped.
#[derive(Debug)]
pub(crate) struct ActiveCall(Option<(Metrics, Instant)>);

/// A call to an upstream; one that is dropped without an outcome was cancelled.
#[derive(Debug)]
pub(crate) struct UpstreamCall(Option<(Metrics, Instant, Domain)>);

/// A provider whose instruments measure nothing.
struct Off;

impl InstrumentProvider for Off {}

// ---- Metrics ----

impl Metrics {
    /// Declares every instrument. What can be read at any time is read from `live` when somebody asks.
    pub fn new(meter: Option<&Meter>, live: &Arc<Live>) -> Self {
        let off = Meter::new(Arc::new(Off));
        let on = meter.is_some();
        let meter = meter.unwrap_or(&off);
        served::observe(meter, &Arc::downgrade(live));
        Self(Arc::new(Instruments::new(meter, on)))
    }

    /// Declares every instrument and measures nothing, for a reference page.
    pub fn declare(meter: &Meter) {
        let live = Arc::new(Live::new(Upstreams::default()));
        Self::new(Some(meter), &live);
        observe_limits(meter, &live, &Gate::new(Capacity::default()), SpareSessions::default());
    }

    /// Notes an update that was applied or refused.
    pub(crate) fn update(&self, applied: bool, bytes: usize, took: Duration) {
        let Instruments { on: true, updates, update_duration, update_size, .. } = &*self.0 else { return };
        updates.add(1, &[outcome(if applied { "applied" } else { "refused" })]);
        update_duration.record(took.as_secs_f64(), &[]);
        update_size.record(u64::try_from(bytes).unwrap_or(u64::MAX), &[]);
    }

    /// Notes that the snapshot was written to the disk, or could not be.
    pub(crate) fn last_good(&self, written: bool, took: Duration) {
        let Instruments { on: true, last_good_writes, last_good_duration, .. } = &*self.0 else { return };
        last_good_writes.add(1, &[outcome(if written { "ok" } else { "failed" })]);
        last_good_duration.record(took.as_secs_f64(), &[]);
    }

    /// Counts a call as active until the guard is dropped.
    pub(crate) fn call(&self) -> ActiveCall {
        if !self.0.on {
            return ActiveCall(None);
        }
        self.0.active_calls.add(1, &[]);
        ActiveCall(Some((self.clone(), Instant::now())))
    }

    /// Follows one call to an upstream.
    pub(crate) fn upstream_call(&self, domain: &Domain) -> UpstreamCall {
        UpstreamCall(self.0.on.then(|| (self.clone(), Instant::now(), domain.clone())))
    }

    /// Follows one question to a hook.
    pub(crate) fn hook_call(&self, hook: &Arc<str>, phase: &'static str) -> HookCall {
        HookCall::begin(self.0.on.then(|| self.0.hooks.clone()), hook, phase)
    }

    /// Follows one program.
    pub(crate) fn code_run(&self) -> CodeRun {
        CodeRun::begin(self.0.on.then(|| self.clone()))
    }

    /// Notes a program that had to wait for another.
    pub(crate) fn code_refused(&self, full: Full) {
        if self.0.on {
            self.0.code_mode.refused(full);
        }
    }

    /// Notes that somebody ran into a limit.
    pub(crate) fn limit(&self, limit: Limit) {
        let limit = match limit {
            Limit::BodySize => "body_size",
            Limit::BodyTime => "body_time",
            Limit::HeadTime => "head_time",
            Limit::AnswerTime => "answer_time",
        };
        self.0.limits.add(1, &[KeyValue::new("toolplane.limit", limit)]);
    }
}

impl Instruments {
    fn new(meter: &Meter, on: bool) -> Self {
        let counter = |name, unit, description| counter(meter, name, unit, description);
        let seconds = |name, description| {
            let builder = meter.f64_histogram(name).with_unit("s").with_description(description);
            builder.with_boundaries(SECONDS.to_vec()).build()
        };
        Self {
            on,
            updates: counter(
                "toolplane.node.updates",
                "{update}",
                "Updates of the registry, by `toolplane.outcome`: `applied` or `refused`.",
            ),
            update_duration: seconds(
                "toolplane.node.update.duration",
                "Time to decode, check and compile an update, refused ones included.",
            ),
            update_size: meter
                .u64_histogram("toolplane.node.update.size")
                .with_unit("By")
                .with_description("Size of an update on the wire.")
                .with_boundaries(BYTES.to_vec())
                .build(),
            last_good_writes: counter(
                "toolplane.node.last_good.writes",
                "{write}",
                "Writes of the last-known-good snapshot, by `toolplane.outcome`: `ok` or `failed`.",
            ),
            last_good_duration: seconds(
                "toolplane.node.last_good.duration",
                "Time to seal, write and sync the last-known-good snapshot.",
            ),
            call_duration: seconds(
                "toolplane.node.call.duration",
                "Time to answer a call, by `toolplane.meta_tool` and `toolplane.code` (`ok`, or the code of the error).",
            ),
            active_calls: meter
                .i64_up_down_counter("toolplane.node.call.active")
                .with_unit("{call}")
                .with_description("Calls that are being answered.")
                .build(),
            upstream_calls: counter(
                "toolplane.node.upstream.calls",
                "{call}",
                "Calls to upstreams, by `toolplane.domain` and `toolplane.outcome`: `ok`, `tool_error`, `error_answer`, \
                 `unauthorized`, `bad_answer`, `unreachable`, `timeout`, `interrupted`, `no_room`, `refused`, `spared`, `overloaded` \
                 or `cancelled`.",
            ),
            upstream_duration: seconds(
                "toolplane.node.upstream.duration",
                "Time that upstreams took, by `toolplane.outcome`.",
            ),
            limits: limit_hits(meter),
            hooks: hooks::Instruments::new(meter),
            code_mode: code_mode::Instruments::new(meter),
        }
    }
}

fn limit_hits(meter: &Meter) -> Counter<u64> {
    let description = "Requests and connections that ran into a limit, by `toolplane.limit`: `body_size`, `body_time`, \
                       `answer_time`, or `head_time`, by which idle connections end, too.";
    meter.u64_counter("toolplane.node.limit.hits").with_unit("{hit}").with_description(description).build()
}

/// Declares what is known of limits: those of the node and those of its upstreams.
pub(crate) fn observe_limits(meter: &Meter, live: &Arc<Live>, gate: &Gate, spares: SpareSessions) {
    let live = Arc::downgrade(live);
    load::observe(meter, &live, gate);
    upstreams::observe(meter, &live, spares);
}

fn counter(meter: &Meter, name: &'static str, unit: &'static str, description: &'static str) -> Counter<u64> {
    meter.u64_counter(name).with_unit(unit).with_description(description).build()
}

fn outcome(word: &'static str) -> KeyValue {
    KeyValue::new("toolplane.outcome", word)
}

// ---- ActiveCall ----

impl ActiveCall {
    /// Notes how it was answered; `None` stands for success.
    pub(crate) fn answered(self, meta_tool: &'static str, code: Option<&'static str>) {
        let Some((metrics, began)) = &self.0 else { return };
        let attributes = [
            KeyValue::new("toolplane.meta_tool", meta_tool),
            KeyValue::new("toolplane.code", code.unwrap_or("ok")),
        ];
        metrics.0.call_duration.record(began.elapsed().as_secs_f64(), &attributes);
    }
}

impl Drop for ActiveCall {
    fn drop(&mut self) {
        if let Some((metrics, _)) = &self.0 {
            metrics.0.active_calls.add(-1, &[]);
        }
    }
}

// ---- UpstreamCall ----

impl UpstreamCall {
    /// Notes how it ended: with a result, which may be a failure in the tool's own words, or without.
    pub(crate) fn ended(mut self, result: Result<bool, &CallError>) {
        self.note(match result {
            Ok(false) => "ok",
            Ok(true) => "tool_error",
            Err(CallError::Unavailable { .. }) => "spared",
            Err(CallError::Overloaded { .. }) => "overloaded",
            Err(CallError::Call(error)) => failure(error),
        });
    }

    fn note(&mut self, word: &'static str) {
        let Some((metrics, began, domain)) = self.0.take() else { return };
        let domain = KeyValue::new("toolplane.domain", domain.to_string());
        metrics.0.upstream_calls.add(1, &[domain, outcome(word)]);
        metrics.0.upstream_duration.record(began.elapsed().as_secs_f64(), &[outcome(word)]);
    }
}

/// The word for a call that brought no result.
fn failure(error: &UpstreamError) -> &'static str {
    match error {
        UpstreamError::Refused(_) | UpstreamError::Setup(_) => "refused",
        UpstreamError::Connect(_) | UpstreamError::Tls(_) => "unreachable",
        UpstreamError::Timeout => "timeout",
        UpstreamError::Interrupted(_) => "interrupted",
        UpstreamError::NoRoom => "no_room",
        UpstreamError::Unauthorized(_) => "unauthorized",
        UpstreamError::Rpc { .. } => "error_answer",
        _ => "bad_answer",
    }
}

impl Drop for UpstreamCall {
    fn drop(&mut self) {
        self.note("cancelled");
    }
}
