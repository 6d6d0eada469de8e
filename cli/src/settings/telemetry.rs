//! Where measurements and spans go.
//!
//! The exporter reads most of its standard variables by itself; here is decided whether there is one at all.

use std::net::SocketAddr;

use super::Reader;
use crate::env::{self, Variable};

/// Settings of what is measured and traced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Telemetry {
    /// Where `/metrics` is served.
    pub(crate) listen: Option<SocketAddr>,
    /// Whether spans are sent to a collector.
    pub(crate) spans: bool,
    /// Whether metrics are.
    pub(crate) metrics: bool,
    /// Whether the environment names the service.
    pub(crate) is_named: bool,
}

impl Telemetry {
    /// Reads the settings.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let listen = reader.parsed(&env::METRICS_LISTEN, |text| {
            text.trim().parse().map_err(|_| "is not `ADDRESS:PORT` with the address in numbers".to_owned())
        });
        // By the standard, anything but `true` means that it is not disabled.
        let disabled =
            reader.text(&env::OTEL_SDK_DISABLED).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        let mut named = |variable: &Variable| {
            let endpoint = reader.parsed(variable, |text| {
                let known = text.starts_with("http://") || text.starts_with("https://");
                if known { Ok(()) } else { Err("is neither `http://…` nor `https://…`".to_owned()) }
            });
            endpoint.is_some() && !disabled
        };
        let both = named(&env::OTEL_ENDPOINT);
        let spans = named(&env::OTEL_TRACES_ENDPOINT) || both;
        let metrics = named(&env::OTEL_METRICS_ENDPOINT) || both;
        let attributes = reader.text(&env::OTEL_RESOURCE_ATTRIBUTES).unwrap_or_default();
        let is_named = reader.text(&env::OTEL_SERVICE_NAME).is_some()
            || attributes.split(',').any(|pair| pair.trim().starts_with("service.name="));
        Self { listen, spans, metrics, is_named }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Variables;

    fn read<const N: usize>(variables: [(&str, &str); N]) -> Telemetry {
        crate::settings::read(&Variables::from(variables), Telemetry::read).unwrap()
    }

    #[test]
    fn nothing_is_exported_unless_somebody_says_where_to() {
        assert_eq!(read([]), Telemetry::default());
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
        let both = read([endpoint]);
        assert!(both.spans && both.metrics && !both.is_named);
        let off = read([endpoint, ("OTEL_SDK_DISABLED", "TRUE")]);
        assert!(!off.spans && !off.metrics);
        let spans =
            read([("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t:4317"), ("OTEL_SDK_DISABLED", "0")]);
        assert!(spans.spans && !spans.metrics);
    }

    #[test]
    fn the_service_is_named_by_either_variable() {
        assert!(read([("OTEL_SERVICE_NAME", "edge")]).is_named);
        assert!(read([("OTEL_RESOURCE_ATTRIBUTES", "zone=a, service.name=edge")]).is_named);
        assert!(!read([("OTEL_RESOURCE_ATTRIBUTES", "zone=a")]).is_named);
    }
}
