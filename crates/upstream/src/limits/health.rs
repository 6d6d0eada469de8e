//! What the outcome of a call says: whether its upstream is ill, and whether the call may be sent again. Pure.

use std::time::Duration;

use super::breaker::Verdict;
use crate::Error;

/// What an answer, or the lack of one, says of the upstream's health. `had` is how long it had, `usual` how long it
/// may take: one that was given no time has not failed.
///
/// Ill is who cannot be reached, does not answer in time, breaks off, breaks the protocol or answers 5xx. Whoever
/// answers otherwise works: a tool's failure, an error of JSON-RPC, a 4xx and a refused credential are all answers.
pub fn verdict<T>(outcome: &Result<T, Error>, had: Duration, usual: Duration) -> Verdict {
    match outcome {
        Err(Error::Timeout) if had < usual / 2 => Verdict::Unknown,
        Err(
            Error::Connect(_)
            | Error::Timeout
            | Error::Interrupted(_)
            | Error::Protocol(_)
            | Error::Status(500..=599),
        ) => Verdict::Ill,
        // Nothing was sent, and the upstream has no part in it.
        Err(Error::Refused(_) | Error::Setup(_)) => Verdict::Unknown,
        Ok(_) | Err(_) => Verdict::Healthy,
    }
}

/// What it says that nobody waited for the answer: a caller who gave up after a long time had reason to.
pub fn abandoned(had: Duration, usual: Duration) -> Verdict {
    if had < usual / 2 { Verdict::Unknown } else { Verdict::Ill }
}

/// Whether a call that failed may be sent again. Without `is_harmless`, which a tool says of itself, only one that
/// certainly never arrived.
pub fn may_repeat(error: &Error, is_harmless: bool) -> bool {
    match error {
        Error::Connect(_) => true,
        Error::Timeout | Error::Interrupted(_) | Error::Status(502..=504) => is_harmless,
        _ => false,
    }
}

/// How long to wait before the repetition of this number, counted from 1: twice as long each time, of which a random
/// half or more.
pub fn pause(repetition: u32, random: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);
    let whole = FIRST.saturating_mul(1 << repetition.saturating_sub(1).min(8)).min(LONGEST);
    whole.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use toolplane_registry::{Rejection, Rule};

    use super::*;

    #[test]
    fn health_and_repetition_follow_the_table() {
        use Verdict::{Healthy, Ill, Unknown};
        let text = || "x".to_owned();
        let rpc = Error::Rpc { code: -32603, message: text(), data: None };
        let refused = Error::Refused(Rejection::new("url", Rule::UrlGuard, "no"));
        for (error, verdict, repeat, repeat_if_harmless) in [
            (Error::Connect(text()), Ill, true, true),
            (Error::Timeout, Ill, false, true),
            (Error::Interrupted(text()), Ill, false, true),
            (Error::Protocol(text()), Ill, false, false),
            (Error::Status(500), Ill, false, false),
            (Error::Status(502), Ill, false, true),
            (Error::Status(503), Ill, false, true),
            (Error::Status(504), Ill, false, true),
            (Error::Status(400), Healthy, false, false),
            (Error::Status(404), Healthy, false, false),
            (Error::Status(429), Healthy, false, false),
            (Error::Unauthorized(401), Healthy, false, false),
            (Error::Unauthorized(403), Healthy, false, false),
            (rpc, Healthy, false, false),
            (Error::TooLarge { limit: 1, unit: "bytes" }, Healthy, false, false),
            (refused, Unknown, false, false),
            (Error::Setup(text()), Unknown, false, false),
        ] {
            assert_eq!(may_repeat(&error, false), repeat, "{error}");
            assert_eq!(may_repeat(&error, true), repeat_if_harmless, "{error}");
            let minute = Duration::from_mins(1);
            assert_eq!(super::verdict(&Err::<(), _>(error), minute, minute), verdict);
        }
        assert_eq!(verdict(&Ok(()), Duration::ZERO, Duration::ZERO), Healthy);
    }

    #[test]
    fn who_was_given_little_time_has_not_failed() {
        let (short, usual) = (Duration::from_secs(29), Duration::from_mins(1));
        assert_eq!(verdict(&Err::<(), _>(Error::Timeout), short, usual), Verdict::Unknown);
        assert_eq!(abandoned(short, usual), Verdict::Unknown);
        assert_eq!(abandoned(Duration::from_secs(30), usual), Verdict::Ill);
    }

    #[test]
    fn pauses_grow_and_are_spread() {
        let millis = |repetition, random| pause(repetition, random).as_millis();
        assert_eq!([1, 2, 3, 9].map(|repetition| millis(repetition, u32::MAX)), [50, 100, 200, 1000]);
        assert_eq!([1, 2, 3, u32::MAX].map(|repetition| millis(repetition, 0)), [25, 50, 100, 500]);
    }
}
