//! Limits of an upstream as operators write and read them: times in seconds, counts as they are.

use std::time::Duration;

use toolplane_proto::sync;
use toolplane_registry::limits::{Limit, Limits};

/// What stands for leaving a limit to the nodes.
pub(crate) const DEFAULT: &str = "default";

/// Reads one limit; nothing where it is left to the nodes.
pub(crate) fn parse(limit: Limit, text: &str) -> Result<Option<u64>, String> {
    let text = text.trim();
    if text == DEFAULT {
        return Ok(None);
    }
    let mut limits = Limits::default();
    if limit.is_time() {
        let seconds: f64 = text.parse().map_err(|_| format!("`{}` is a number of seconds", limit.name()))?;
        let time = Duration::try_from_secs_f64(seconds);
        let time = time.map_err(|_| format!("`{}` is a positive number of seconds", limit.name()))?;
        // Rounded to the milliseconds that are kept.
        limits.put(limit, u64::try_from((time + Duration::from_micros(500)).as_millis()).ok());
    } else {
        limits.put(limit, Some(text.parse().map_err(|_| format!("`{}` is a whole number", limit.name()))?));
    }
    limits.check().map_err(|wrong| wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    Ok(limits.get(limit))
}

/// One limit as it is shown and written.
pub(crate) fn show(limit: Limit, value: u64) -> String {
    if !limit.is_time() {
        return value.to_string();
    }
    let (seconds, millis) = (value / 1000, value % 1000);
    if millis == 0 {
        return seconds.to_string();
    }
    format!("{seconds}.{millis:03}").trim_end_matches('0').to_owned()
}

/// What was set, by name.
pub(crate) fn set(limits: &Limits) -> impl Iterator<Item = (&'static str, String)> {
    Limit::ALL.into_iter().filter_map(|limit| Some((limit.name(), show(limit, limits.get(limit)?))))
}

/// What a control plane says was set. What cannot be read is shown as not set: it is another release's.
pub(crate) fn from_wire(limits: Option<&sync::Limits>) -> Limits {
    limits.and_then(|limits| Limits::try_from(limits).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_and_counts_are_whole() {
        for (limit, text, expected, shown) in [
            (Limit::Timeout, "30", Some(30_000), "30"),
            (Limit::Timeout, " 2.5 ", Some(2500), "2.5"),
            (Limit::ConnectTimeout, "0.001", Some(1), "0.001"),
            (Limit::MaxQueue, "0", Some(0), "0"),
            (Limit::MaxConcurrency, "64", Some(64), "64"),
        ] {
            assert_eq!(parse(limit, text), Ok(expected), "{text}");
            assert_eq!(expected.map(|value| show(limit, value)).as_deref(), Some(shown));
        }
        assert_eq!(parse(Limit::Timeout, "default"), Ok(None));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_name() {
        for (limit, text) in [
            (Limit::Timeout, "soon"),
            (Limit::Timeout, "0"),
            (Limit::Timeout, "-1"),
            (Limit::Timeout, "NaN"),
            (Limit::IdleTimeout, "3601"),
            (Limit::MaxConcurrency, "0"),
            (Limit::MaxConcurrency, "1.5"),
            (Limit::MaxRetries, "11"),
        ] {
            let reason = parse(limit, text).unwrap_err();
            assert!(reason.contains(limit.name()), "{text}: {reason}");
        }
    }
}
