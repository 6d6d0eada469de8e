//! What happened, in simulated time: what two runs of one seed must agree on.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Events by time and place. Those of one instant at one place have no order: its tasks run as they please.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    events: BTreeMap<(u64, String), Vec<String>>,
}

impl Trace {
    /// Notes an event.
    pub(crate) fn note(&mut self, at: u64, place: &str, what: String) {
        self.events.entry((at, place.to_owned())).or_default().push(what);
    }

    /// One line per event.
    pub(crate) fn lines(&self) -> String {
        let mut lines = String::new();
        for ((at, place), events) in &self.events {
            let mut events = events.clone();
            events.sort();
            for event in events {
                writeln!(lines, "{:>4}.{:03} {place:<10} {event}", at / 1000, at % 1000).expect("a string");
            }
        }
        lines
    }
}
