//! The instruments of connections.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, UpDownCounter};

use super::Metrics;
use super::instruments::{counter, name};

/// Counts connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    open: UpDownCounter<i64>,
    dropped: Counter<u64>,
}

impl Metrics {
    /// The instruments of connections.
    pub(crate) fn connections(&self) -> Connections {
        let meter = &self.0.meter;
        let open = meter
            .i64_up_down_counter(name("connections"))
            .with_unit("{connection}")
            .with_description("Connections to the gRPC API that are open.")
            .build();
        let dropped = counter(
            meter,
            "connections.dropped",
            "{connection}",
            "Connections that were refused or ended, by `toolplane.reason`: `full`, `displaced` (by a newer one, and \
             no token was shown) or `idle`.",
        );
        Connections { open, dropped }
    }
}

impl Connections {
    pub(crate) fn opened(&self) {
        self.open.add(1, &[]);
    }

    pub(crate) fn closed(&self) {
        self.open.add(-1, &[]);
    }

    pub(crate) fn dropped(&self, reason: &'static str) {
        self.dropped.add(1, &[KeyValue::new("toolplane.reason", reason)]);
    }
}
