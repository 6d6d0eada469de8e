//! What is measured of code mode: how long programs wait and run, how they end, which limits end them.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

/// From a tenth of a millisecond, which a ready worker takes, to the usual limit.
const SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];

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
                "Programs that ran, by `toolplane.code`: `ok`, or the code of the failure.",
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
                "Programs that a limit ended, by `toolplane.limit`: `duration`, `memory`, `allocations`, `recursion`, \
                 `nested_calls`, `result` or `source`.",
            ),
        }
    }

    pub(super) fn run(
        &self,
        (waited, ran): (Duration, Duration),
        code: Option<&'static str>,
        limit: Option<&'static str>,
    ) {
        self.runs.add(1, &[KeyValue::new("toolplane.code", code.unwrap_or("ok"))]);
        self.start.record(waited.as_secs_f64(), &[]);
        self.duration.record(ran.as_secs_f64(), &[]);
        if let Some(limit) = limit {
            self.limits.add(1, &[KeyValue::new("toolplane.limit", limit)]);
        }
    }
}
