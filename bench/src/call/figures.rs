//! Figures of several rounds, and how they are written.

use super::generator::Run;
use crate::load::Times;

/// What one subject did, per second and per call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Calls per second.
    pub(crate) rate: f64,
    pub(crate) latency: Times,
    /// Microseconds of processor time per call: the subject's, the upstream's, the load generator's.
    pub(crate) own: f64,
    pub(crate) upstream: f64,
    pub(crate) client: f64,
    /// How late requests left, in microseconds.
    pub(crate) late: f64,
}

impl Figures {
    /// Of a run in which the subject was watched first and the upstream second.
    pub(crate) fn of(run: &Run) -> Self {
        let report = &run.report;
        let per_call = |at: usize| report.micros_per_call(run.cpu.get(at).copied().unwrap_or_default());
        Self {
            rate: report.rate(),
            latency: if report.calls == 0 { Times::NONE } else { report.latency },
            own: per_call(0),
            upstream: per_call(1),
            client: report.micros_per_call(report.cpu),
            late: report.late_p99,
        }
    }

    /// How many processors client, subject and upstream kept busy together.
    pub(crate) fn processors(&self) -> f64 {
        self.rate * (self.own + self.upstream + self.client) / 1_000_000.0
    }

    /// Each figure's median.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure));
        Self {
            rate: of(|round| round.rate),
            latency: Times {
                p50: of(|round| round.latency.p50),
                p90: of(|round| round.latency.p90),
                p99: of(|round| round.latency.p99),
                p999: of(|round| round.latency.p999),
                max: of(|round| round.latency.max),
            },
            own: of(|round| round.own),
            upstream: of(|round| round.upstream),
            client: of(|round| round.client),
            late: of(|round| round.late),
        }
    }
}

/// The middle one; of an even number the upper of two. 0 of none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Of values in order, the first that so many in a hundred do not exceed; of none, no number.
pub(crate) fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// How many times as much.
pub(crate) fn times(figure: f64, of: f64) -> String {
    if of == 0.0 { "–".to_owned() } else { format!("{:.2}", figure / of) }
}

/// Calls per second.
pub(crate) fn per_second(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// A latency in microseconds, or in milliseconds where that is enough; a dash where there was no answer.
pub(crate) fn time(micros: f64) -> String {
    if micros.is_nan() {
        "–".to_owned()
    } else if micros < 10_000.0 {
        format!("{micros:.0} µs")
    } else {
        format!("{:.1} ms", micros / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_round_that_was_disturbed_does_not_count() {
        assert!((median([3.0, 900.0, 1.0].into_iter()) - 3.0).abs() < f64::EPSILON);
        assert!(median(std::iter::empty()).abs() < f64::EPSILON);
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let seen = [1.0, 2.0, 3.0, 4.0];
        let at = [0, 50, 99, 100].map(|percent| per_second(quantile(&seen, percent)));
        assert_eq!(at, ["1.0", "2.0", "4.0", "4.0"]);
        assert!(quantile(&[], 50).is_nan());
    }

    #[test]
    fn figures_are_as_long_as_they_are_sure() {
        assert_eq!((per_second(12.34), per_second(1234.5)), ("12.3".to_owned(), "1234".to_owned()));
        assert_eq!((time(812.4), time(41_250.0)), ("812 µs".to_owned(), "41.2 ms".to_owned()));
        assert_eq!((times(1.0, 4.0), times(1.0, 0.0)), ("0.25".to_owned(), "–".to_owned()));
    }
}
