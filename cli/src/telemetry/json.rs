//! The log as JSON lines. What an audit record says is an object in it, not a text that holds one.

use std::fmt;

use serde_json::{Map, Value};
use toolplane_data_plane::code_mode::AUDIT_TARGET;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{self, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The field of an audit record.
const AUDIT: &str = "audit";

/// Writes events as lines.
pub(super) struct Json(Format<format::Json>);

impl Json {
    pub(super) fn new() -> Self {
        Self(format::format().json().flatten_event(true))
    }
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != AUDIT_TARGET {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match unfolded(&line) {
            Some(line) => writeln!(writer, "{line}"),
            None => writer.write_str(&line),
        }
    }
}

/// The line with the record as an object, where it holds one.
fn unfolded(line: &str) -> Option<String> {
    let mut members: Map<String, Value> = serde_json::from_str(line).ok()?;
    let record: Value = serde_json::from_str(members.get(AUDIT)?.as_str()?).ok()?;
    members.insert(AUDIT.to_owned(), record);
    serde_json::to_string(&members).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_becomes_an_object() {
        let line = r#"{"level":"INFO","message":"m","audit":"{\"step_count\":1}"}"#;
        let unfolded: Value = serde_json::from_str(&unfolded(line).unwrap()).unwrap();
        assert_eq!(unfolded["audit"]["step_count"], 1);
        assert!(super::unfolded(r#"{"message":"m"}"#).is_none());
    }
}
