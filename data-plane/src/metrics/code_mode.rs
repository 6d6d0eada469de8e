//! What is measured of code mode: how long programs wait and run, how they end, which limits end them.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use toolplane_sandbox::Outcome;

use super::Metrics;
use crate::code_mode::Full;

/// From a tenth of a millisecond, which a ready worker takes, to the usual limit.
const SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];

/// A program that runs; one that is dropped without an outcome was cancelled.
#[derive(Debug)]
pub(crate) struct CodeRun(Option<Metrics>);

/// The instruments.
#[derive(Debug)]
pub(super) struct Instruments {
    runs: Counter<u64>,
    start: Histogram<f64>,
    duration: Histogram<f64>,
    limits: Counter<u64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let counter = |name, unit, description| {
            meter.u64_counter(name).with_unit(unit).with_description(description).build()
        };
        let seconds = |name, description| {
            let builder = meter.f64_histogram(name).with_unit("s").with_description(description);
            builder.with_boundaries(SECONDS.to_vec()).build()
        };
        Self {
            runs: counter(
                "toolplane.node.code_mode.runs",
                "{run}",
                "Programs that ran, by `toolplane.code`: `ok`, the code of the failure, `output_guard_reject` where the result \
                 was withheld, or `cancelled` where nobody waited for the end.",
            ),
            start: seconds(
                "toolplane.node.code_mode.start.duration",
                "Time that programs waited for a worker.",
            ),
            duration: seconds(
                "toolplane.node.code_mode.run.duration",
                "Time that programs ran, calls of tools included.",
            ),
            limits: counter(
                "toolplane.node.code_mode.limit.hits",
                "{hit}",
                "Programs that a limit ended or kept from beginning, by `toolplane.limit`: `duration`, `memory`, `allocations`, \
                 `recursion`, `nested_calls`, `result`, `source`, and, for want of a place, `runs` or `runs_per_caller`.",
            ),
        }
    }

    /// Counts a program that had to wait for another.
    pub(super) fn refused(&self, full: Full) {
        self.limit(match full {
            Full::Node => "runs",
            Full::Caller => "runs_per_caller",
        });
    }

    fn limit(&self, limit: &'static str) {
        self.limits.add(1, &[KeyValue::new("toolplane.limit", limit)]);
    }

    fn ended(&self, code: &'static str) {
        self.runs.add(1, &[KeyValue::new("toolplane.code", code)]);
    }
}

// ---- CodeRun ----

impl CodeRun {
    pub(super) fn begin(metrics: Option<Metrics>) -> Self {
        Self(metrics)
    }

    /// Notes how long the program waited for a worker and ran, and how it ended.
    pub(crate) fn ended(mut self, outcome: &Outcome, code: Option<&'static str>) {
        let Some(metrics) = self.0.take() else { return };
        let instruments = &metrics.0.code_mode;
        instruments.ended(code.unwrap_or("ok"));
        instruments.start.record(outcome.start_time.as_secs_f64(), &[]);
        instruments.duration.record(outcome.run_time.as_secs_f64(), &[]);
        if let Some(limit) = outcome.end.as_ref().err().and_then(|failure| failure.limit) {
            instruments.limit(limit.as_str());
        }
    }
}

impl Drop for CodeRun {
    fn drop(&mut self) {
        if let Some(metrics) = &self.0 {
            metrics.0.code_mode.ended("cancelled");
        }
    }
}
