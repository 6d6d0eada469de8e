//! What a process tells about itself: its log on stderr, and spans and metrics for those who ask for them.
//!
//! Owns the subscriber and the providers. Nothing is exported or served unless the settings say so, and then nothing
//! of it is built. What the exporter has not sent yet is sent when [`Telemetry`] is dropped, on whatever way out.

mod access;
mod export;
mod json;
mod lines;
#[cfg(test)]
mod reference;
mod scrape;

use opentelemetry::metrics::{Meter, MeterProvider as _};
use tokio::task::JoinSet;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::access::Access;
use self::export::Export;
use self::lines::{Lines, Writing};
use crate::exit::Failure;
use crate::settings::{self, LogFormat, Logging};

/// Libraries that talk more than a gateway's operator wants to hear, and from which level on they may.
const QUIETER: [(&str, LevelFilter); 5] = [
    ("rmcp", LevelFilter::WARN),
    ("h2", LevelFilter::INFO),
    ("hyper", LevelFilter::INFO),
    ("sqlx", LevelFilter::WARN),
    ("tower", LevelFilter::INFO),
];

/// What spans of ours are known by. In the log they would be told of with every line, and each call has two.
const SPANS: &str = "toolplane::spans";

/// The log of this process and what it exports, until it is dropped.
#[derive(Debug)]
pub(crate) struct Telemetry {
    // Dropped first: what it has to say of its end is still written.
    export: Export,
    /// Writes the lines that wait.
    _writing: Writing,
    listen: Option<std::net::SocketAddr>,
}

impl Telemetry {
    /// Starts it. A second log of one process changes nothing.
    pub(crate) fn start(
        logging: &Logging,
        settings: &settings::Telemetry,
        colors: bool,
    ) -> Result<Self, Failure> {
        let export = Export::new(settings)?;
        let lines = Lines::default();
        let writing = lines.write_behind().map_err(Failure::usage)?;
        let wanted = filter(logging);
        // A terminal is read by people, who have time.
        let is_plain = !colors && wanted.would_enable(access::TARGET, &Level::INFO);
        let own = is_plain.then(|| Access::new(lines.clone(), logging.format));
        let own = own.map(|layer| layer.with_filter(filter_fn(|event| event.target() == access::TARGET)));
        let others = if is_plain { wanted.with_target(access::TARGET, LevelFilter::OFF) } else { wanted };
        let layer = tracing_subscriber::fmt::layer().with_writer(lines).with_ansi(colors);
        let layer = match logging.format {
            LogFormat::Text => layer.boxed(),
            LogFormat::Json => layer.json().event_format(json::Json::new()).boxed(),
        };
        // Only what is there: a layer that is none would have every span built.
        let layers = [Some(layer.with_filter(others).boxed()), own.map(Layer::boxed), export.span_layer()];
        let layers: Vec<_> = layers.into_iter().flatten().collect();
        // Fails only where a log runs already.
        drop(tracing_subscriber::registry().with(layers).try_init());
        Ok(Self { export, _writing: writing, listen: settings.listen })
    }

    /// What the planes measure with; absent where nobody wants to know.
    pub(crate) fn meter(&self) -> Option<Meter> {
        self.export.meters.as_ref().map(|provider| provider.meter("toolplane"))
    }

    /// Serves `/metrics` where that is asked for, until the result is dropped.
    pub(crate) async fn listen(&self) -> Result<JoinSet<()>, Failure> {
        match (self.listen, &self.export.registry) {
            (Some(address), Some(registry)) => scrape::serve(address, registry.clone()).await,
            _ => Ok(JoinSet::new()),
        }
    }
}

fn filter(logging: &Logging) -> Targets {
    let level: LevelFilter = logging.level.parse().unwrap_or(LevelFilter::INFO);
    let quieter = QUIETER.into_iter().map(|(target, most)| (target, most.min(level)));
    let directives =
        logging.filter.as_deref().and_then(|text| text.parse::<Targets>().ok()).unwrap_or_default();
    let default = directives.default_level().unwrap_or(level);
    Targets::new()
        .with_default(default)
        .with_targets(quieter)
        .with_target(SPANS, LevelFilter::OFF)
        .with_targets(directives)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logging(level: &'static str, directives: Option<&str>) -> Targets {
        filter(&Logging { level, filter: directives.map(str::to_owned), format: LogFormat::Text })
    }

    #[test]
    fn libraries_stay_quiet_unless_asked() {
        let targets = logging("debug", None);
        assert!(targets.would_enable("toolplane_data_plane::mcp", &Level::DEBUG));
        assert!(!targets.would_enable("rmcp::service", &Level::INFO));
        assert!(logging("info", Some("rmcp=debug")).would_enable("rmcp::service", &Level::DEBUG));
        assert!(!logging("error", None).would_enable("rmcp", &Level::WARN));
        assert!(!logging("debug", Some("toolplane=debug")).would_enable(SPANS, &Level::INFO));
        assert!(logging("info", Some("toolplane::spans=info")).would_enable(SPANS, &Level::INFO));
    }

    #[test]
    fn a_bare_level_in_the_directives_is_the_default() {
        let targets = logging("info", Some("warn,toolplane_control_plane=debug"));
        assert!(!targets.would_enable("anything", &Level::INFO));
        assert!(targets.would_enable("toolplane_control_plane::refresh", &Level::DEBUG));
    }
}
