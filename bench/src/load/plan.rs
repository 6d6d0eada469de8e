//! What the load generator is told and what it reports: plain data that travels as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What to send, how often, for how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// `http://ADDRESS:PORT/path`.
    pub(crate) url: String,
    /// Whether every connection introduces itself first, and speaks in the session that it may be given.
    pub(crate) handshake: bool,
    /// Sent by each connection in turn.
    pub(crate) requests: Vec<Prepared>,
    /// On every request, what precedes the first call included.
    pub(crate) headers: BTreeMap<String, String>,
    /// What every right answer holds.
    pub(crate) expect: String,
    pub(crate) connections: usize,
    /// Requests per second on a fixed timetable; absent: each connection sends as soon as it is answered.
    pub(crate) rate: Option<f64>,
    /// Seconds before answers count.
    pub(crate) warm_up: f64,
    /// Seconds in which they do.
    pub(crate) measured: f64,
    /// So many right answers end it earlier.
    pub(crate) calls: Option<u64>,
}

/// A request as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// Beyond those that every request has.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Prepared {
    /// Its headers as they are sent, each line with its end.
    pub(crate) fn header_lines(&self) -> String {
        let lines = self.headers.iter().map(|(name, value)| [name.as_str(), ": ", value, "\r\n"].concat());
        lines.collect()
    }
}

/// What came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Right answers within the window.
    pub(crate) calls: u64,
    /// Wrong ones and none.
    pub(crate) failures: u64,
    pub(crate) first_failure: Option<String>,
    /// Mean size of a body, in bytes.
    pub(crate) answer_bytes: f64,
    /// Length of the window.
    pub(crate) seconds: f64,
    /// Processor time of the load generator within the window, in seconds.
    pub(crate) cpu: f64,
    pub(crate) latency: Times,
    /// How late requests left that nothing but the load generator held up, in microseconds, of 99 in 100.
    pub(crate) late_p99: f64,
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Times {
    /// Of no answer at all: it meets no target.
    pub(crate) const NONE: Self =
        Self { p50: f64::NAN, p90: f64::NAN, p99: f64::NAN, p999: f64::NAN, max: f64::NAN };
}

impl Report {
    /// Right answers per second.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        self.calls as f64 / self.seconds
    }

    /// Microseconds of processor time for one call, of so many seconds.
    pub(crate) fn micros_per_call(&self, cpu: f64) -> f64 {
        cpu * self.per_call(1_000_000)
    }

    /// How much of something there was for each call.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(crate) fn per_call(&self, count: u64) -> f64 {
        count as f64 / self.calls.max(1) as f64
    }
}
