//! The rollout under way, read when somebody asks.
//!
//! Without one there are no series but the one that says so. That is why these are no gauges: the SDK repeats the last
//! value of a gauge for ever, and forgets a sum that is not observed any more.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::Meter;

use super::Metrics;
use super::instruments::name;

/// A rollout at the moment of asking, as one control plane sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The version that it keeps nodes at.
    pub(crate) baseline: u64,
    /// The version that canaries are sent.
    pub(crate) newest: u64,
    /// Nodes of this control plane that it keeps from that.
    pub(crate) held_back: usize,
    /// How long it has been under way.
    pub(crate) age: Duration,
}

type Read = Arc<dyn Fn() -> Option<Reading> + Send + Sync>;
/// A whole number of a rollout: its name, its unit, what it tells, and where it is read.
type Number = (&'static str, &'static str, &'static str, fn(&Reading) -> u64);

const NUMBERS: [Number; 3] = [
    (
        "rollout.baseline.version",
        "",
        "Number of the version that a rollout keeps nodes at; absent without one.",
        |reading| reading.baseline,
    ),
    (
        "rollout.canary.version",
        "",
        "Number of the version that canaries are sent while a rollout is under way; absent without one.",
        |reading| reading.newest,
    ),
    (
        "rollout.held_back",
        "{node}",
        "Nodes that follow this control plane and that a rollout keeps from the canaries' version; absent without one.",
        |reading| u64::try_from(reading.held_back).unwrap_or(u64::MAX),
    ),
];

impl Metrics {
    /// Shows the rollout under way, where `read` finds one.
    pub(crate) fn rollout(&self, read: impl Fn() -> Option<Reading> + Send + Sync + 'static) {
        observe(&self.0.meter, &(Arc::new(read) as Read));
    }
}

fn observe(meter: &Meter, read: &Read) {
    let is_active = Arc::clone(read);
    meter
        .u64_observable_gauge(name("rollout.active"))
        .with_description("Whether a rollout is under way: 1 or 0.")
        .with_callback(move |observer| observer.observe(u64::from(is_active().is_some()), &[]))
        .build();
    for (short, unit, description, number) in NUMBERS {
        let read = Arc::clone(read);
        let builder = meter.i64_observable_up_down_counter(name(short)).with_unit(unit);
        builder
            .with_description(description)
            .with_callback(move |observer| {
                if let Some(reading) = read() {
                    observer.observe(i64::try_from(number(&reading)).unwrap_or(i64::MAX), &[]);
                }
            })
            .build();
    }
    let age = Arc::clone(read);
    meter
        .f64_observable_up_down_counter(name("rollout.age"))
        .with_unit("s")
        .with_description("For how long a rollout has been under way; absent without one.")
        .with_callback(move |observer| {
            if let Some(reading) = age() {
                observer.observe(reading.age.as_secs_f64(), &[]);
            }
        })
        .build();
}
