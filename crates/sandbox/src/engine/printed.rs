//! What a program prints, up to a number of bytes.

use std::borrow::Cow;

use monty_types::{MontyException, PrintWriter, PrintWriterCallback};

/// Stands where something was cut off.
const MARK: &str = "\n… (truncated)";

/// Keeps the beginning and drops the rest: a program that prints too much goes on, as it does elsewhere.
pub(super) struct Printed {
    text: String,
    room: usize,
    truncated: bool,
}

impl Printed {
    pub(super) fn new(room: usize) -> Self {
        Self { text: String::new(), room, truncated: false }
    }

    pub(super) fn writer(&mut self) -> PrintWriter<'_> {
        PrintWriter::Callback(self)
    }

    /// The text and whether something is missing at its end.
    pub(super) fn into_parts(self) -> (String, bool) {
        let Self { mut text, room: _, truncated } = self;
        if truncated {
            text.push_str(MARK);
        }
        (text, truncated)
    }

    fn add(&mut self, text: &str) {
        if self.truncated {
            return;
        }
        let room = self.room.saturating_sub(self.text.len());
        let kept = text.floor_char_boundary(room);
        self.text.push_str(text.get(..kept).unwrap_or_default());
        self.truncated = kept < text.len();
    }
}

impl PrintWriterCallback for Printed {
    fn stdout_write(&mut self, output: Cow<'_, str>) -> Result<(), MontyException> {
        self.add(&output);
        Ok(())
    }

    fn stdout_push(&mut self, end: char) -> Result<(), MontyException> {
        self.add(end.encode_utf8(&mut [0; 4]));
        Ok(())
    }
}
