//! What the Python process writes, line by line, as text that can be logged.
//!
//! Bounded, and never the end of the process: the pipe is read until it closes, whatever the bytes are, because a process
//! whose pipe is gone fails with each line that a hook prints.

use std::io::ErrorKind;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use super::LOG;

/// Longest line that is passed on, in characters and in bytes; the rest of it is left out.
const MAX_LINE_CHARS: usize = 2000;
const MAX_LINE_BYTES: usize = 4 * MAX_LINE_CHARS;

/// The lines of a pipe.
#[derive(Debug)]
pub(super) struct Lines<R> {
    pipe: BufReader<R>,
    /// The beginning of a line whose end is not here yet.
    begun: Vec<u8>,
    /// Whether it has begun, which an empty one may have as well.
    has_begun: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(pipe: R) -> Self {
        Self { pipe: BufReader::new(pipe), begun: Vec::new(), has_begun: false }
    }

    /// The next line; `None` at the end. Nothing is lost where this is dropped before it is done.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let bytes = match self.pipe.fill_buf().await {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(target: LOG, %error, "what the hooks write cannot be read anymore");
                    &[]
                }
            };
            if bytes.is_empty() {
                return self.has_begun.then(|| self.take());
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (line, used) = match end {
                Some(end) => (bytes.get(..end).unwrap_or_default(), end + 1),
                None => (bytes, bytes.len()),
            };
            let room = MAX_LINE_BYTES.saturating_sub(self.begun.len());
            self.begun.extend(line.iter().take(room));
            self.has_begun = true;
            self.pipe.consume(used);
            if end.is_some() {
                return Some(self.take());
            }
        }
    }

    /// Writes everything to the log until the end.
    pub(super) async fn pass_on(mut self) {
        while let Some(line) = self.next().await {
            pass_on(&line);
        }
    }

    fn take(&mut self) -> String {
        self.has_begun = false;
        cut(&String::from_utf8_lossy(&std::mem::take(&mut self.begun)))
    }
}

/// Writes a line to the log.
pub(super) fn pass_on(line: &str) {
    tracing::info!(target: LOG, "{line}");
}

/// A line without control characters, cut where it is long.
fn cut(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(MAX_LINE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_bytes_are_lines_and_long_ones_are_cut() {
        let mut written = b"one\n\xff\x1b[31mred\r\n\n".to_vec();
        written.extend(std::iter::repeat_n(b'x', 100_000));
        written.extend(b"\nlast");
        let mut lines = Lines::new(&written[..]);
        for expected in ["one", "\u{fffd}[31mred", "", &"x".repeat(MAX_LINE_CHARS), "last"] {
            assert_eq!(lines.next().await.as_deref(), Some(expected));
            assert!(lines.begun.capacity() <= 2 * MAX_LINE_BYTES);
        }
        assert_eq!(lines.next().await, None);
    }

    #[tokio::test]
    async fn a_line_that_is_waited_for_in_vain_is_not_lost() {
        use tokio::io::AsyncWriteExt as _;
        let (mut writer, reader) = tokio::io::duplex(16);
        let mut lines = Lines::new(reader);
        writer.write_all(b"half").await.unwrap();
        assert!(futures::poll!(std::pin::pin!(lines.next())).is_pending());
        writer.write_all(b" a line\n").await.unwrap();
        assert_eq!(lines.next().await.as_deref(), Some("half a line"));
    }
}
