//! What a program prints, up to a number of bytes.
//!
//! It is sent on while the program runs, so that it is not lost with a worker that is ended.
//! The first lines go at once; a program that goes on printing has them gathered, so that it costs the host little.

use std::borrow::Cow;

use monty_types::{MontyException, PrintWriter, PrintWriterCallback};
use tokio::time::Instant;

use crate::engine::Link;
use crate::frames::{PRINTS_AT_ONCE, PRINTS_FULL, PRINTS_GATHERED};

/// Stands where something was cut off.
const MARK: &str = "\n… (truncated)";

/// Keeps the beginning and drops the rest: a program that prints too much goes on, as it does elsewhere.
pub(super) struct Printed<'a> {
    link: &'a dyn Link,
    /// What has not been sent.
    text: String,
    room: usize,
    truncated: bool,
    sent: u32,
    sent_at: Instant,
}

impl<'a> Printed<'a> {
    pub(super) fn new(room: usize, link: &'a dyn Link) -> Self {
        Self { link, text: String::new(), room, truncated: false, sent: 0, sent_at: Instant::now() }
    }

    pub(super) fn writer(&mut self) -> PrintWriter<'_> {
        PrintWriter::Callback(self)
    }

    /// What has not been sent, and whether something is missing at its end.
    pub(super) fn into_parts(self) -> (String, bool) {
        let Self { mut text, truncated, .. } = self;
        if truncated {
            text.push_str(MARK);
        }
        (text, truncated)
    }

    fn add(&mut self, text: &str) {
        if self.truncated {
            return;
        }
        let kept = text.floor_char_boundary(self.room);
        self.text.push_str(text.get(..kept).unwrap_or_default());
        self.room = self.room.saturating_sub(kept);
        self.truncated = kept < text.len();
        if self.truncated || self.text.len() >= PRINTS_FULL {
            self.flush();
        }
    }

    fn end_line(&mut self) {
        if self.sent < PRINTS_AT_ONCE || self.sent_at.elapsed() >= PRINTS_GATHERED {
            self.flush();
        }
    }

    /// Sends what there is.
    pub(super) fn flush(&mut self) {
        if self.text.is_empty() {
            return;
        }
        // A host that is gone is noticed by whoever waits for it.
        self.link.printed(std::mem::take(&mut self.text), self.truncated).unwrap_or_default();
        self.sent = self.sent.saturating_add(1);
        self.sent_at = Instant::now();
    }
}

impl PrintWriterCallback for Printed<'_> {
    fn stdout_write(&mut self, output: Cow<'_, str>) -> Result<(), MontyException> {
        self.add(&output);
        Ok(())
    }

    fn stdout_push(&mut self, end: char) -> Result<(), MontyException> {
        self.add(end.encode_utf8(&mut [0; 4]));
        if end == '\n' {
            self.end_line();
        }
        Ok(())
    }
}
