//! What the limits of each upstream know, read when somebody asks: calls pay nothing for it.
//!
//! One series per upstream that the node serves, and none once it is gone. That is why what goes up and down is no
//! gauge here: the SDK repeats the last value of a gauge for ever, and forgets a sum that is not observed any more.

use std::sync::Weak;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use toolplane_registry::Domain;
use toolplane_upstream::client::SpareSessions;
use toolplane_upstream::limits::Reading;
use toolplane_upstream::limits::breaker::Phase;

use crate::live::Live;

/// A number of an upstream: its name, its unit, what it tells, and where it is read.
type Number<T> = (&'static str, &'static str, &'static str, fn(&Reading) -> T);

const LEVELS: [Number<i64>; 3] = [
    (
        "toolplane.node.upstream.breaker",
        "",
        "Where the breaker stands, by `toolplane.domain`: 0 closed, 1 half-open, 2 open. An open one stays so until a \
         call comes after its pause.",
        |reading| phase(reading.phase),
    ),
    (
        "toolplane.node.upstream.running",
        "{call}",
        "Calls that have a place to run, by `toolplane.domain`.",
        |reading| signed(reading.running),
    ),
    (
        "toolplane.node.upstream.waiting",
        "{call}",
        "Calls that wait for a place to run, by `toolplane.domain`.",
        |reading| signed(reading.waiting),
    ),
];

const COUNTS: [Number<u64>; 6] = [
    (
        "toolplane.node.upstream.attempts",
        "{attempt}",
        "Calls that were sent, repetitions included, by `toolplane.domain`.",
        |reading| reading.attempts,
    ),
    (
        "toolplane.node.upstream.failures",
        "{attempt}",
        "Calls that were sent and whose end counts as ill health of the upstream, by `toolplane.domain`.",
        |reading| reading.failures,
    ),
    (
        "toolplane.node.upstream.timeouts",
        "{attempt}",
        "Calls that were sent and took too long, by `toolplane.domain`.",
        |reading| reading.timeouts,
    ),
    (
        "toolplane.node.upstream.retries",
        "{attempt}",
        "Calls that were sent again, by `toolplane.domain`.",
        |reading| reading.retries,
    ),
    (
        "toolplane.node.upstream.retries.denied",
        "{attempt}",
        "Repetitions that were not sent because their budget was spent, by `toolplane.domain`.",
        |reading| reading.retries_denied,
    ),
    (
        "toolplane.node.upstream.breaker.openings",
        "{opening}",
        "How often the breaker opened, by `toolplane.domain`.",
        |reading| reading.openings,
    ),
];

/// Declares what is read from the limits of the upstreams that a node serves, for as long as it lives.
pub(super) fn observe(meter: &Meter, live: &Weak<Live>, spares: SpareSessions) {
    for (name, unit, description, read) in LEVELS {
        let live = Weak::clone(live);
        let builder =
            meter.i64_observable_up_down_counter(name).with_unit(unit).with_description(description);
        builder
            .with_callback(move |observer| {
                each(&live, |domain, reading| observer.observe(read(reading), &[of(domain)]));
            })
            .build();
    }
    for (name, unit, description, read) in COUNTS {
        let live = Weak::clone(live);
        let builder = meter.u64_observable_counter(name).with_unit(unit).with_description(description);
        builder
            .with_callback(move |observer| {
                each(&live, |domain, reading| observer.observe(read(reading), &[of(domain)]));
            })
            .build();
    }
    observe_refusals(meter, Weak::clone(live));
    observe_retry_budgets(meter, Weak::clone(live));
    observe_spares(meter, Weak::clone(live), spares);
}

fn observe_refusals(meter: &Meter, live: Weak<Live>) {
    meter
        .u64_observable_counter("toolplane.node.upstream.refusals")
        .with_unit("{call}")
        .with_description(
            "Calls that were not sent, by `toolplane.domain` and `toolplane.reason`: `full`, because no place to run \
             became free, or `spared`, because the breaker is open.",
        )
        .with_callback(move |observer| {
            each(&live, |domain, reading| {
                for (reason, number) in [("full", reading.overloaded), ("spared", reading.spared)] {
                    observer.observe(number, &[of(domain), KeyValue::new("toolplane.reason", reason)]);
                }
            });
        })
        .build();
}

fn observe_retry_budgets(meter: &Meter, live: Weak<Live>) {
    meter
        .f64_observable_up_down_counter("toolplane.node.upstream.retry_budget")
        .with_unit("{attempt}")
        .with_description("Repetitions that the budget would allow now, by `toolplane.domain`.")
        .with_callback(move |observer| {
            each(&live, |domain, reading| {
                observer.observe(f64::from(reading.retry_budget) / 1000.0, &[of(domain)]);
            });
        })
        .build();
}

fn observe_spares(meter: &Meter, live: Weak<Live>, spares: SpareSessions) {
    meter
        .i64_observable_up_down_counter("toolplane.node.upstream.spare_sessions")
        .with_unit("{session}")
        .with_description(
            "Sessions that were opened ahead of need and wait for a call, by `toolplane.domain`.",
        )
        .with_callback(move |observer| {
            let waiting = spares.read();
            each(&live, |domain, _| {
                observer.observe(signed(waiting.get(domain).copied().unwrap_or(0)), &[of(domain)]);
            });
        })
        .build();
}

/// Looks at every upstream that is served now. Nothing is told of a node that has stopped.
fn each(live: &Weak<Live>, mut look: impl FnMut(&Domain, &Reading)) {
    let Some(live) = live.upgrade() else { return };
    for (domain, reading) in live.load().readings() {
        look(domain, &reading);
    }
}

fn of(domain: &Domain) -> KeyValue {
    KeyValue::new("toolplane.domain", domain.to_string())
}

fn phase(phase: Phase) -> i64 {
    match phase {
        Phase::Closed { .. } => 0,
        Phase::HalfOpen { .. } => 1,
        Phase::Open { .. } => 2,
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
