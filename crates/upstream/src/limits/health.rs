//! What the outcome of a call says: whether its upstream is ill, and whether the call may be sent again. Pure.

use std::time::Duration;

use super::breaker::Verdict;
use crate::Error;

/// How long an upstream was given, and whether it said anything meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Chance {
    /// How long the call had.
    pub had: Duration,
    /// How long it may take.
    pub usual: Duration,
    /// Whether the upstream has answered any call since this one began.
    pub answered: bool,
}

/// What an answer, or the lack of one, says of the upstream's health.
///
/// Ill is who cannot be reached, does not answer in time, breaks off, breaks the protocol or answers 5xx. Whoever
/// answers otherwise works: a tool's failure, an error of JSON-RPC, a 4xx and a refused credential are all answers.
/// Time that ran out is judged as by [`unanswered`].
pub fn verdict<T>(outcome: &Result<T, Error>, chance: Chance) -> Verdict {
    match outcome {
        Err(Error::Timeout) => unanswered(chance),
        Err(
            Error::Connect(_)
            | Error::Tls(_)
            | Error::Interrupted(_)
            | Error::Protocol(_)
            | Error::Status(500..=599),
        ) => Verdict::Ill,
        // Nothing was sent, and the upstream has no part in it.
        Err(Error::Refused(_) | Error::Setup(_)) => Verdict::Unknown,
        Ok(_) | Err(_) => Verdict::Healthy,
    }
}

/// What it says that there was no answer when the time was over or the caller gave up. One that was given little time
/// has not failed; one that answers others meanwhile is slow with this tool alone, and whoever calls slow tools must
/// not be able to turn the upstream off for everybody.
pub fn unanswered(chance: Chance) -> Verdict {
    if chance.had < chance.usual / 2 || chance.answered { Verdict::Unknown } else { Verdict::Ill }
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
            (Error::Tls(text()), Ill, false, false),
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
            (Error::NoRoom, Healthy, false, false),
            (refused, Unknown, false, false),
            (Error::Setup(text()), Unknown, false, false),
        ] {
            assert_eq!(may_repeat(&error, false), repeat, "{error}");
            assert_eq!(may_repeat(&error, true), repeat_if_harmless, "{error}");
            let minute = Duration::from_mins(1);
            let chance = Chance { had: minute, usual: minute, answered: false };
            assert_eq!(super::verdict(&Err::<(), _>(error), chance), verdict);
        }
        let none = Chance { had: Duration::ZERO, usual: Duration::ZERO, answered: false };
        assert_eq!(verdict(&Ok(()), none), Healthy);
    }

    #[test]
    fn only_silence_for_long_enough_is_ill() {
        use Verdict::{Ill, Unknown};
        for (had, answered, expected) in [
            (29, false, Unknown),
            (30, false, Ill),
            (30, true, Unknown),
            (60, true, Unknown),
            (60, false, Ill),
        ] {
            let chance = Chance { had: Duration::from_secs(had), usual: Duration::from_mins(1), answered };
            assert_eq!(verdict(&Err::<(), _>(Error::Timeout), chance), expected, "{chance:?}");
            assert_eq!(unanswered(chance), expected, "{chance:?}");
            let broke = Err::<(), _>(Error::Interrupted("x".to_owned()));
            assert_eq!(verdict(&broke, chance), Ill, "what breaks off is no silence");
        }
    }

    #[test]
    fn pauses_grow_and_are_spread() {
        let millis = |repetition, random| pause(repetition, random).as_millis();
        assert_eq!([1, 2, 3, 9].map(|repetition| millis(repetition, u32::MAX)), [50, 100, 200, 1000]);
        assert_eq!([1, 2, 3, u32::MAX].map(|repetition| millis(repetition, 0)), [25, 50, 100, 500]);
    }
}
