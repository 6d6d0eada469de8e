//! How much is logged and in which form.

use super::Reader;
use crate::env;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Settings of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logging {
    /// Least level, in the words of the `tracing` crate.
    pub(crate) level: &'static str,
    /// Directives laid over the level.
    pub(crate) filter: Option<String>,
    /// Form of the lines.
    pub(crate) format: LogFormat,
}

impl Logging {
    /// Reads the settings.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let levels = [
            ("DEBUG", "debug"),
            ("INFO", "info"),
            ("WARNING", "warn"),
            ("ERROR", "error"),
            ("CRITICAL", "error"),
        ];
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        Self {
            level: reader.word(&env::LOG_LEVEL, &levels, "info"),
            filter: reader.parsed(&env::LOG_FILTER, |text| {
                let parsed = text.parse::<tracing_subscriber::filter::Targets>();
                parsed.map(|_| text.to_owned()).map_err(|_| "does not parse as filter directives".to_owned())
            }),
            format: reader.word(&env::LOG_FORMAT, &formats, LogFormat::Text),
        }
    }
}
