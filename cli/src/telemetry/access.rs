//! Lines of the access log, put together by hand: there is one for every call.
//!
//! Owns their form, which is that of all other lines. Values that need escapes take the usual, slower way.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::lines::Lines;
use crate::settings::LogFormat;

/// The target of these lines.
pub(super) const TARGET: &str = "toolplane::access";

const SECONDS_PER_DAY: u64 = 86_400;

thread_local! {
    static LINE: RefCell<Line> = RefCell::default();
}

/// Writes the events of the target.
#[derive(Debug)]
pub(super) struct Access {
    lines: Lines,
    format: LogFormat,
}

/// A line that is being written, and what of the last one can be used again.
#[derive(Debug, Default)]
struct Line {
    text: String,
    /// The date and time up to the second, and which second that is.
    second: (u64, String),
}

/// Writes fields.
struct Fields<'a> {
    text: &'a mut String,
    format: LogFormat,
}

impl Access {
    pub(super) fn new(lines: Lines, format: LogFormat) -> Self {
        Self { lines, format }
    }
}

impl<S: Subscriber> Layer<S> for Access {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINE.with_borrow_mut(|line| {
            line.begin(self.format, now());
            event.record(&mut Fields { text: &mut line.text, format: self.format });
            line.end(self.format);
            self.lines.add(line.text.as_bytes());
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "a line of the log says what time it is")]
fn now() -> (u64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_micros())
}

// ---- Line ----

impl Line {
    fn begin(&mut self, format: LogFormat, (second, micros): (u64, u32)) {
        if self.second.0 != second || self.second.1.is_empty() {
            self.second = (second, up_to_second(second));
        }
        self.text.clear();
        if format == LogFormat::Json {
            self.text.push_str(r#"{"timestamp":""#);
        }
        self.text.push_str(&self.second.1);
        self.text.push('.');
        push_digits(&mut self.text, micros.into(), 6);
        self.text.push_str(match format {
            LogFormat::Text => "Z  INFO toolplane::access: answered",
            LogFormat::Json => r#"Z","level":"INFO","message":"answered""#,
        });
    }

    fn end(&mut self, format: LogFormat) {
        self.text.push_str(match format {
            LogFormat::Text => "\n",
            LogFormat::Json => ",\"target\":\"toolplane::access\"}\n",
        });
    }
}

/// The date and the time of day, as RFC 3339 begins them.
fn up_to_second(second: u64) -> String {
    let (days, time) = (second / SECONDS_PER_DAY, second % SECONDS_PER_DAY);
    // Years that begin in March have their odd day at the end; 400 of them are always equally long.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

fn push_digits(text: &mut String, number: u64, least: u32) {
    let mut scale = 10_u64.pow(least.saturating_sub(1));
    while number / scale >= 10 {
        scale *= 10;
    }
    while scale > 0 {
        // Less than ten.
        text.push(char::from(b'0' + u8::try_from(number / scale % 10).unwrap_or_default()));
        scale /= 10;
    }
}

// ---- Fields ----

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        match self.format {
            LogFormat::Text => {
                self.text.push(' ');
                self.text.push_str(field.name());
                self.text.push('=');
            }
            LogFormat::Json => {
                self.text.push_str(",\"");
                self.text.push_str(field.name());
                self.text.push_str("\":");
            }
        }
    }

    fn quoted(&mut self, value: &str) {
        let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
        if is_plain {
            self.text.push('"');
            self.text.push_str(value);
            self.text.push('"');
            return;
        }
        match self.format {
            // Writing to a text cannot fail.
            LogFormat::Text => drop(write!(self.text, "{value:?}")),
            LogFormat::Json => self.text.push_str(&serde_json::Value::from(value).to_string()),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.quoted(value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        push_digits(self.text, value, 1);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // It is always the same.
        if field.name() == "message" {
            return;
        }
        self.name(field);
        match self.format {
            LogFormat::Text => drop(write!(self.text, "{value:?}")),
            LogFormat::Json => self.quoted(&format!("{value:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn moments_are_written_as_everybody_writes_them() {
        for (second, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_798_761_600, "2027-01-01T00:00:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(up_to_second(second), text);
        }
        let digits = |number, least| {
            let mut text = String::new();
            push_digits(&mut text, number, least);
            text
        };
        assert_eq!(
            (digits(42, 6), digits(0, 1), digits(1234, 1)),
            ("000042".into(), "0".into(), "1234".into())
        );
    }

    /// What a line says, without its time.
    fn line(format: LogFormat, tool: &str) -> String {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(Access::new(lines, format));
        tracing::subscriber::with_default(subscriber, || {
            let code: Option<&str> = None;
            tracing::info!(
                target: TARGET,
                meta_tool = "execute_tool",
                gateway.tool_name = tool,
                error.code = code,
                duration_ms = 12_u64,
                "answered"
            );
        });
        LINE.with_borrow(|line| line.text.clone())
    }

    #[test]
    fn a_line_for_people_says_every_field_that_has_a_value() {
        let text = line(LogFormat::Text, "search");
        let rest = "Z  INFO toolplane::access: answered meta_tool=\"execute_tool\" gateway.tool_name=\"search\" duration_ms=12\n";
        assert!(
            text.ends_with(rest) && text.len() == rest.len() + "2026-01-01T00:00:00.000000".len(),
            "{text}"
        );
        assert!(line(LogFormat::Text, "a\"\nb").contains(r#"gateway.tool_name="a\"\nb" "#));
    }

    #[test]
    fn a_line_for_programs_is_json() {
        for tool in ["search", "a\"\nb\u{7f}é"] {
            let value: serde_json::Value = serde_json::from_str(&line(LogFormat::Json, tool)).unwrap();
            assert_eq!(value["gateway.tool_name"], tool);
            assert_eq!((&value["duration_ms"], &value["target"]), (&12.into(), &TARGET.into()));
            assert_eq!((&value["level"], &value["message"]), (&"INFO".into(), &"answered".into()));
        }
    }
}
