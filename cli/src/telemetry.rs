//! What a process tells about itself: its log on stderr, and spans and metrics for those who ask for them.
//!
//! Owns the subscriber and the providers. Nothing is exported or served unless the settings say so, and then nothing
//! of it is built. What the exporter has not sent yet is sent when [`Telemetry`] is dropped, on whatever way out.

mod export;
mod lines;
#[cfg(test)]
mod reference;
mod scrape;

use std::io;

use opentelemetry::metrics::{Meter, MeterProvider as _};
use tokio::task::JoinSet;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::export::Export;
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

/// The log of this process and what it exports, until it is dropped.
#[derive(Debug)]
pub(crate) struct Telemetry {
    export: Export,
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
        let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colors);
        let layer = match logging.format {
            LogFormat::Text => layer.boxed(),
            LogFormat::Json => {
                let layer = tracing_subscriber::fmt::layer().json().with_writer(io::stderr);
                layer.event_format(lines::Json::new()).boxed()
            }
        };
        let log = tracing_subscriber::registry().with(layer.with_filter(filter(logging)));
        // Fails only where a log runs already.
        drop(log.with(export.span_layer()).try_init());
        Ok(Self { export, listen: settings.listen })
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
    Targets::new().with_default(default).with_targets(quieter).with_targets(directives)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

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
    }

    #[test]
    fn a_bare_level_in_the_directives_is_the_default() {
        let targets = logging("info", Some("warn,toolplane_control_plane=debug"));
        assert!(!targets.would_enable("anything", &Level::INFO));
        assert!(targets.would_enable("toolplane_control_plane::refresh", &Level::DEBUG));
    }
}
