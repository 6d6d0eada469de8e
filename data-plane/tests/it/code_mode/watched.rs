//! What operators see of a node: its log with spans, and its metrics.

use std::io;
use std::sync::{Arc, Mutex};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use serde_json::Value;
use toolplane_data_plane::Options;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Lines of the log, as long as it lives, of everything in this thread: the runtime of a test has no other.
pub(crate) struct Log {
    lines: Lines,
    _default: DefaultGuard,
}

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

/// Metrics of one node.
pub(crate) struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
}

impl Log {
    pub(crate) fn capture() -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_span_events(FmtSpan::CLOSE)
            .without_time()
            .with_writer(lines.clone())
            .finish();
        Self { lines, _default: tracing::subscriber::set_default(subscriber) }
    }

    /// The lines since the last time, in the order in which they were written.
    pub(crate) fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.lines.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The same of one target.
    pub(crate) fn of(&self, target: &str) -> Vec<Value> {
        self.take().into_iter().filter(|line| line["target"] == target).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
        let exporter = exporter.scope_info_enabled(false).build().unwrap();
        Self { registry, provider: SdkMeterProvider::builder().with_reader(exporter).build() }
    }

    /// Options of a node that is measured.
    pub(crate) fn watch(&self, options: Options) -> Options {
        Options { meter: Some(self.provider.meter("node")), ..options }
    }

    fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }

    /// The number of a series, written as Prometheus writes it; 0 where there is none.
    pub(crate) fn read(&self, series: &str) -> u64 {
        let text = self.text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Everything that is counted of calls and programs; times are left out, they differ anyway.
    pub(crate) fn counts(&self) -> Vec<String> {
        let text = self.text();
        let is_count = |line: &&str| {
            let (name, _) = line.split_once(['{', ' ']).unwrap_or_default();
            name.ends_with("_total") || name.ends_with("_count")
        };
        text.lines().filter(|line| !line.starts_with('#')).filter(is_count).map(ToOwned::to_owned).collect()
    }
}
