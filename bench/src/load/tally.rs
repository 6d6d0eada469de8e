//! What all connections have counted together.

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::Window;
use super::plan::{Report, Times};

/// Longest latency that is told apart, in nanoseconds.
const LONGEST: u64 = 120_000_000_000;

/// Counts of one run.
#[derive(Debug)]
pub(super) struct Tally {
    latency: Histogram<u64>,
    late: Histogram<u64>,
    bytes: u64,
    failures: u64,
    first_failure: Option<String>,
}

/// How a request went.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Since it was due.
    pub(super) latency: Duration,
    /// How late it left, where nothing but this process held it up.
    pub(super) late: Option<Duration>,
    /// The size of the right answer, or what was wrong.
    pub(super) answer: Result<usize, String>,
}

impl Tally {
    pub(super) fn new() -> anyhow::Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, LONGEST, 3);
        Ok(Self { latency: histogram()?, late: histogram()?, bytes: 0, failures: 0, first_failure: None })
    }

    /// Counts an answer, if it arrived in time to count.
    pub(super) fn count(&mut self, window: &Window, outcome: Outcome) {
        let now = Instant::now();
        if now < window.begins || now >= window.ends {
            return;
        }
        let Outcome { latency, late, answer } = outcome;
        match answer {
            Ok(bytes) => self.bytes += bytes as u64,
            Err(failure) => {
                self.failures += 1;
                self.first_failure.get_or_insert(failure);
                return;
            }
        }
        self.latency.saturating_record(nanos(latency));
        if let Some(late) = late {
            self.late.saturating_record(nanos(late));
        }
    }

    /// Right answers so far.
    pub(super) fn calls(&self) -> u64 {
        self.latency.len()
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
    pub(super) fn report(&self, measured: Duration, cpu: f64) -> Report {
        let at = |quantile| micros(self.latency.value_at_quantile(quantile));
        Report {
            calls: self.latency.len(),
            failures: self.failures,
            first_failure: self.first_failure.clone(),
            answer_bytes: self.bytes as f64 / self.latency.len().max(1) as f64,
            seconds: measured.as_secs_f64(),
            cpu,
            latency: Times {
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                p999: at(0.999),
                max: micros(self.latency.max()),
            },
            late_p99: micros(self.late.value_at_quantile(0.99)),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^52 nanoseconds")]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_arrives_within_the_window_counts() {
        let now = Instant::now();
        let hour = Duration::from_hours(1);
        let mut tally = Tally::new().unwrap();
        let current = Window { opens: now, begins: now, ends: now + hour };
        let future = Window { opens: now, begins: now + hour, ends: now + hour * 2 };
        let outcome = |answer| Outcome {
            latency: Duration::from_micros(100),
            late: Some(Duration::from_micros(3)),
            answer,
        };
        tally.count(&future, outcome(Ok(5)));
        tally.count(&current, outcome(Ok(200)));
        tally.count(&current, outcome(Err("status 500".to_owned())));
        let report = tally.report(Duration::from_secs(2), 0.5);
        assert_eq!((report.calls, report.failures), (1, 1));
        assert_eq!(report.first_failure.as_deref(), Some("status 500"));
        assert!((report.answer_bytes - 200.0).abs() < 1e-9);
        assert!((report.latency.p50 - 100.0).abs() < 1.0 && (report.late_p99 - 3.0).abs() < 0.1);
        assert!((report.rate() - 0.5).abs() < 1e-9 && (report.micros_per_call(0.5) - 500_000.0).abs() < 1e-3);
    }
}
