//! What a node serves, and how old it is, read when somebody asks.

use std::sync::Weak;

use opentelemetry::metrics::Meter;

use crate::live::Live;

/// Declares it. Nothing is told of a node that has stopped.
pub(super) fn observe(meter: &Meter, live: &Weak<Live>) {
    let gauge = |name: &'static str, unit: &'static str, description, read: fn(&Live) -> u64| {
        let live = Weak::clone(live);
        let builder = meter.u64_observable_gauge(name).with_unit(unit).with_description(description);
        builder.with_callback(move |observer| {
            if let Some(live) = live.upgrade() {
                observer.observe(read(&live), &[]);
            }
        })
    };
    gauge(
        "toolplane.node.snapshot.version",
        "",
        "Number of the version that is served; 0 before the first.",
        |live| live.load().snapshot().version().number(),
    )
    .build();
    gauge("toolplane.node.tools", "{tool}", "Tools that are served.", |live| {
        u64::try_from(live.load().snapshot().tool_count()).unwrap_or(u64::MAX)
    })
    .build();
    gauge("toolplane.node.connected", "", "Whether a control plane is followed: 1 or 0.", |live| {
        u64::from(live.is_connected())
    })
    .build();
    let live = Weak::clone(live);
    meter
        .f64_observable_gauge("toolplane.node.stale")
        .with_unit("s")
        .with_description(
            "For how long what is served may have been out of date, because no control plane is followed; 0 while \
             one is.",
        )
        .with_callback(move |observer| {
            if let Some(live) = live.upgrade() {
                observer.observe(live.stale_for().unwrap_or_default().as_secs_f64(), &[]);
            }
        })
        .build();
}
