//! Spans and metrics on their way to a collector, and the registry that `/metrics` is read from.

use std::sync::mpsc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::exit::Failure;
use crate::settings::Telemetry;

/// How long a process that ends waits for a collector to take what is left.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// The providers that somebody asked for.
#[derive(Debug)]
pub(super) struct Export {
    tracer: Option<SdkTracerProvider>,
    pub(super) meters: Option<SdkMeterProvider>,
    pub(super) registry: Option<prometheus::Registry>,
}

impl Export {
    /// Call it within a Tokio runtime: the connections to the collector belong to one.
    pub(super) fn new(settings: &Telemetry) -> Result<Self, Failure> {
        let resource = resource(settings.is_named);
        let tracer = settings.spans.then(|| tracer(&resource)).transpose()?;
        let registry = settings.listen.map(|_| prometheus::Registry::new());
        let meters = (settings.metrics || registry.is_some())
            .then(|| meters(settings.metrics, registry.as_ref(), resource))
            .transpose()?;
        Ok(Self { tracer, meters, registry })
    }

    /// Exports the spans of our own crates; those of libraries concern their developers.
    pub(super) fn span_layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer = self.tracer.as_ref()?.tracer("toolplane");
        let ours = Targets::new().with_target("toolplane", LevelFilter::INFO);
        let layer =
            tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
        Some(layer.with_filter(ours).boxed())
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        let (tracer, meters) = (self.tracer.take(), self.meters.take());
        if tracer.is_none() && meters.is_none() {
            return;
        }
        let (done, ended) = mpsc::channel();
        // Aside: what a collector that is away makes them wait for is not ours to wait for.
        std::thread::spawn(move || {
            let spans = tracer.map_or(Ok(()), |tracer| tracer.shutdown_with_timeout(FLUSH_DEADLINE));
            let metrics = meters.map_or(Ok(()), |meters| meters.shutdown());
            drop(done.send(spans.and(metrics)));
        });
        match ended.recv_timeout(FLUSH_DEADLINE) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans and metrics could not be exported"),
            Err(_) => tracing::warn!("the last spans and metrics could not be exported in time"),
        }
    }
}

/// Says who exports. The environment has the last word.
fn resource(is_named: bool) -> Resource {
    let resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if is_named { resource.build() } else { resource.with_service_name("toolplane").build() }
}

fn tracer(resource: &Resource) -> Result<SdkTracerProvider, Failure> {
    let exporter = SpanExporter::builder().with_tonic().build().map_err(unusable)?;
    Ok(SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(exporter).build())
}

fn meters(
    push: bool,
    registry: Option<&prometheus::Registry>,
    resource: Resource,
) -> Result<SdkMeterProvider, Failure> {
    let mut builder = SdkMeterProvider::builder().with_resource(resource);
    if push {
        builder =
            builder.with_periodic_exporter(MetricExporter::builder().with_tonic().build().map_err(unusable)?);
    }
    if let Some(registry) = registry {
        let exporter =
            opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
        builder = builder.with_reader(exporter.build().map_err(Failure::usage)?);
    }
    Ok(builder.build())
}

fn unusable(error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("spans and metrics cannot be exported: {error}"))
}
