//! What is measured of hooks: how long they take, how they answer, how many answers are awaited.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use tokio::time::Instant;

/// From a tenth of a millisecond, which a hook on a Unix socket takes, to the usual deadline.
const SECONDS: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 2.0];

/// The instruments. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Instruments {
    calls: Counter<u64>,
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

/// A question to a hook; one that is dropped without an outcome was given up by the caller.
#[derive(Debug)]
pub(crate) struct HookCall(Option<Asked>);

#[derive(Debug)]
struct Asked {
    instruments: Instruments,
    began: Instant,
    hook: KeyValue,
    phase: KeyValue,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            calls: meter
                .u64_counter("toolplane.node.hook.calls")
                .with_unit("{call}")
                .with_description(
                    "Questions to hooks, by `toolplane.hook`, `toolplane.phase` and `toolplane.outcome`: `ok`, `denied`, \
                     `cancelled`, `out_of_time` where the call itself was over first, `passed_over`, or how the hook failed: \
                     `unavailable`, `failed`, `timeout`, `invalid`, `restarted`, `unknown_call`, `overloaded` or `no_room`.",
                )
                .build(),
            duration: meter
                .f64_histogram("toolplane.node.hook.duration")
                .with_unit("s")
                .with_description("Time that hooks took, by `toolplane.hook` and `toolplane.phase`.")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            active: meter
                .i64_up_down_counter("toolplane.node.hook.active")
                .with_unit("{call}")
                .with_description("Answers of hooks that are awaited, by `toolplane.hook`.")
                .build(),
        }
    }
}

impl HookCall {
    pub(super) fn begin(instruments: Option<Instruments>, hook: &Arc<str>, phase: &'static str) -> Self {
        Self(instruments.map(|instruments| {
            let hook = KeyValue::new("toolplane.hook", Arc::clone(hook));
            instruments.active.add(1, std::slice::from_ref(&hook));
            let phase = KeyValue::new("toolplane.phase", phase);
            Asked { instruments, began: Instant::now(), hook, phase }
        }))
    }

    /// Notes how it was answered.
    pub(crate) fn ended(mut self, word: &'static str) {
        self.note(word);
    }

    fn note(&mut self, word: &'static str) {
        let Some(Asked { instruments, began, hook, phase }) = self.0.take() else { return };
        instruments.active.add(-1, std::slice::from_ref(&hook));
        instruments.duration.record(began.elapsed().as_secs_f64(), &[hook.clone(), phase.clone()]);
        instruments.calls.add(1, &[hook, phase, KeyValue::new("toolplane.outcome", word)]);
    }
}

impl Drop for HookCall {
    fn drop(&mut self) {
        self.note("cancelled");
    }
}
