//! When and how an event stream is taken up again that the upstream ended before the reply.
//!
//! In the handshake revisions an upstream may end a stream as soon as it has given an event an id. The request runs on
//! there; what follows that event is asked for once the pause is over that the upstream wished for. Pure; the asking is
//! up to [`super::transport`]. Never repeats a request.

use std::time::Duration;

use http::HeaderValue;

/// The pause of upstreams that wish for none.
const USUAL_PAUSE: Duration = Duration::from_secs(1);
/// No pause is shorter, whatever is wished for: a stream that ends at once must not become a busy loop.
const MIN_PAUSE: Duration = Duration::from_millis(50);
/// Longest id that is remembered.
const MAX_ID_BYTES: usize = 1024;

/// What a stream has said so far of how to go on after its end.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Of the event that is being read.
    pending: Option<HeaderValue>,
    /// Of the last complete event that had one.
    id: Option<HeaderValue>,
    pause: Option<Duration>,
}

/// Where to go on, and when.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The last event that arrived.
    pub(super) id: HeaderValue,
    /// How long to wait before asking.
    pub(super) pause: Duration,
}

impl Trace {
    /// Takes notice of a line that is no data.
    pub(super) fn note(&mut self, line: &[u8]) {
        if let Some(id) = value_of(line, b"id").filter(|id| id.len() <= MAX_ID_BYTES) {
            // An id that no header can say is none.
            self.pending = HeaderValue::from_bytes(id).ok().or(self.pending.take());
        } else if let Some(millis) = value_of(line, b"retry") {
            let millis = std::str::from_utf8(millis).ok().and_then(|text| text.parse().ok());
            self.pause = millis.map(Duration::from_millis).or(self.pause);
        }
    }

    /// The event is complete.
    pub(super) fn end_event(&mut self) {
        self.id = self.pending.take().or(self.id.take());
    }

    /// Where to go on; `None` where the upstream has not said that it can.
    pub(super) fn place(&self) -> Option<Place> {
        let id = self.id.clone().filter(|id| !id.is_empty())?;
        Some(Place { id, pause: self.pause.unwrap_or(USUAL_PAUSE).max(MIN_PAUSE) })
    }

    /// Another stream begins: an event that was not complete is sent again.
    pub(super) fn begin_stream(&mut self) {
        self.pending = None;
    }
}

/// The value of a field.
fn value_of<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(field)?.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> Trace {
        let mut trace = Trace::default();
        for line in lines {
            if line.is_empty() { trace.end_event() } else { trace.note(line.as_bytes()) }
        }
        trace
    }

    #[test]
    fn a_stream_goes_on_after_the_last_complete_event_that_had_an_id() {
        let place = |id: &str, millis| {
            Some(Place { id: HeaderValue::from_str(id).unwrap(), pause: Duration::from_millis(millis) })
        };
        for (lines, expected) in [
            (&["id: 1", ""][..], place("1", 1000)),
            (&["id:1", "retry: 250", "", "id: 2"], place("1", 250)),
            (&["id: 1", "", "event: x", "", "retry: soon", ""], place("1", 1000)),
            (&["retry: 0", "id: 1", "", "id: 2", ""], place("2", 50)),
            (&["id: 1", "", "id:", ""], None),
            (&["id: 1", "", "id: a\u{1}b", ""], place("1", 1000)),
            (&["id: 1"], None),
            (&["idle: 1", "retry: 5", ""], None),
        ] {
            assert_eq!(after(lines).place(), expected, "{lines:?}");
        }
        let long = format!("id: {}", "x".repeat(MAX_ID_BYTES + 1));
        assert_eq!(after(&[&long, ""]).place(), None);
    }

    #[test]
    fn what_broke_off_counts_for_nothing_in_the_next_stream() {
        let mut trace = after(&["id: 1", "", "id: 2"]);
        trace.begin_stream();
        trace.end_event();
        assert_eq!(trace.place().unwrap().id, "1");
    }
}
