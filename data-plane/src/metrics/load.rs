//! What a node has taken on, beside how much it may, read when somebody asks.

use std::sync::Weak;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::live::Live;
use crate::shed::{Gate, Load};

/// A number of a node, and what tells about it.
type Gauge = (&'static str, &'static str, &'static str, fn(&Gate) -> usize);

const GAUGES: [Gauge; 6] = [
    (
        "toolplane.node.connections",
        "{connection}",
        "Open connections of callers, those beyond the limit not included.",
        |gate| gate.load().connections,
    ),
    ("toolplane.node.connections.max", "{connection}", "Connections that the node serves at most.", |gate| {
        gate.capacity().max_connections
    }),
    (
        "toolplane.node.requests",
        "{request}",
        "Requests in flight, from their head to the end of their answer.",
        |gate| gate.load().requests,
    ),
    ("toolplane.node.requests.max", "{request}", "Requests that the node works on at most.", |gate| {
        gate.capacity().max_requests
    }),
    (
        "toolplane.node.buffered",
        "By",
        "Bytes held for requests in flight: of bodies, of large replies of upstreams, and of answers.",
        |gate| gate.load().buffered_bytes,
    ),
    ("toolplane.node.buffered.max", "By", "Bytes that the node holds at most.", |gate| {
        gate.capacity().max_buffered_bytes
    }),
];

/// Declares what is read from a node's gate, for as long as the node lives.
pub(super) fn observe(meter: &Meter, live: &Weak<Live>, gate: &Gate) {
    for (name, unit, description, read) in GAUGES {
        let (live, gate) = (Weak::clone(live), gate.clone());
        let builder = meter.u64_observable_gauge(name).with_unit(unit).with_description(description);
        let builder = builder.with_callback(move |observer| {
            if live.strong_count() > 0 {
                observer.observe(u64::try_from(read(&gate)).unwrap_or(u64::MAX), &[]);
            }
        });
        builder.build();
    }
    let (live, gate) = (Weak::clone(live), gate.clone());
    meter
        .u64_observable_counter("toolplane.node.refusals")
        .with_unit("{refusal}")
        .with_description(
            "What the node refused because it has taken on enough, by `toolplane.reason`: `connections`, `requests`, \
             `bodies`, or `replies`, whose calls had run.",
        )
        .with_callback(move |observer| {
            if live.strong_count() > 0 {
                for (reason, number) in refusals(&gate.load()) {
                    observer.observe(number, &[KeyValue::new("toolplane.reason", reason)]);
                }
            }
        })
        .build();
}

fn refusals(load: &Load) -> [(&'static str, u64); 4] {
    [
        ("connections", load.refused_connections),
        ("requests", load.refused_requests),
        ("bodies", load.refused_bodies),
        ("replies", load.refused_replies),
    ]
}
