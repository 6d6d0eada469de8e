//! An incremental reader of event streams.
//!
//! Owns the line and event rules of the WHATWG specification. Bounded by whoever feeds it: it never holds more than was
//! pushed.

use super::resume::{Place, Trace};

/// Collects bytes and gives out the data of complete events.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    /// Where the unread part of `buffer` begins.
    start: usize,
    /// Up to where `buffer` is known to hold no line end.
    scanned: usize,
    /// The last line ended with a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    past_first_line: bool,
    data: Vec<u8>,
    has_data: bool,
    trace: Trace,
}

impl Decoder {
    /// Adds what has arrived.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// Where the stream can be taken up again, if at all.
    pub(super) fn place(&self) -> Option<Place> {
        self.trace.place()
    }

    /// Another stream follows the one that has ended; what was not complete is sent again.
    pub(super) fn begin_stream(&mut self) {
        *self = Self { trace: std::mem::take(&mut self.trace), ..Self::default() };
        self.trace.begin_stream();
    }

    /// How much is kept of what was pushed.
    pub(super) fn held(&self) -> usize {
        self.buffer.len() - self.start + self.data.len()
    }

    /// The data of the next complete event that has any.
    pub(super) fn next_event(&mut self) -> Option<Vec<u8>> {
        loop {
            let end = self.find_line_end()?;
            let line = self.buffer.get(self.start..end).unwrap_or_default();
            if line.is_empty() {
                self.trace.end_event();
                if std::mem::take(&mut self.has_data) {
                    self.advance(end);
                    return Some(std::mem::take(&mut self.data));
                }
            } else {
                let line = if self.past_first_line {
                    line
                } else {
                    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
                };
                if let Some(value) = data_of(line) {
                    if self.has_data {
                        self.data.push(b'\n');
                    }
                    self.data.extend_from_slice(value);
                    self.has_data |= !value.is_empty();
                } else {
                    self.trace.note(line);
                }
            }
            self.advance(end);
        }
    }

    fn find_line_end(&mut self) -> Option<usize> {
        if self.after_return && self.start < self.buffer.len() {
            self.after_return = false;
            if self.buffer.get(self.start) == Some(&b'\n') {
                self.start += 1;
                self.scanned = self.scanned.max(self.start);
            }
        }
        let unscanned = self.buffer.get(self.scanned..).unwrap_or_default();
        let found = unscanned.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        self.scanned += found.unwrap_or(unscanned.len());
        found.map(|_| self.scanned)
    }

    fn advance(&mut self, end: usize) {
        self.past_first_line = true;
        self.after_return = self.buffer.get(end) == Some(&b'\r');
        self.start = end + 1;
        self.scanned = self.start;
    }
}

/// The value of a `data` field; comments and other fields have none.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<String> {
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(data) = decoder.next_event() {
                events.push(String::from_utf8(data).unwrap());
            }
        }
        events
    }

    const STREAM: &[u8] =
        b"\xef\xbb\xbf: hello\r\n\r\nevent: message\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n\
        data:\n\ndata\n\nretry: 5\n\ndata:no space\n\ndata:  two\r\rdatabase: x\n\ndata: unfinished";

    #[test]
    fn events_come_out_whatever_the_line_ends_and_comments() {
        assert_eq!(events(&[STREAM]), ["{\"a\":\n1}", "no space", " two"]);
    }

    #[test]
    fn every_way_of_cutting_the_stream_gives_the_same_events() {
        let whole = events(&[STREAM]);
        for cut in 0..STREAM.len() {
            assert_eq!(events(&[&STREAM[..cut], &STREAM[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(events(&bytes), whole);
    }

    #[test]
    fn what_was_given_out_is_no_longer_held() {
        let mut decoder = Decoder::default();
        decoder.push(b"data: one\n\ndata: tw");
        assert_eq!(decoder.held(), 19);
        assert!(decoder.next_event().is_some() && decoder.next_event().is_none());
        assert_eq!(decoder.held(), 8);
        decoder.push(b"o\ndata: three\n");
        assert!(decoder.next_event().is_none());
        assert_eq!(decoder.held(), "two\nthree".len());
    }

    #[test]
    fn an_event_without_its_blank_line_is_not_complete() {
        assert!(events(&[b"data: {}\n"]).is_empty());
        assert_eq!(events(&[b"data: {}\n", b"\n"]), ["{}"]);
    }
}
