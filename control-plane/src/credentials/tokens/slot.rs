//! One token over time: whether it is used, or another one is asked for, or neither. Pure but for what it holds.

use std::time::Duration;

use tokio::time::Instant;
use toolplane_registry::Secret;
use toolplane_upstream::oauth::{Error, Grant};

/// How long a token is used where its endpoint does not say.
const DEFAULT_LIFE: Duration = Duration::from_mins(5);
/// How long one is used at most: what was revoked or changed at its endpoint shows within that time.
const LONGEST_LIFE: Duration = Duration::from_hours(24);
/// How long before its end a token is replaced: a fifth of its life, and so long at least, but not more than half.
const LEAST_AHEAD: Duration = Duration::from_mins(1);
/// Pauses after failures: doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A token that an upstream may be shown.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    /// Counts the tokens of a slot.
    number: u64,
    /// Whether it was obtained just now, for whoever holds this.
    pub(crate) is_new: bool,
}

/// The token of one upstream, and how obtaining one went.
#[derive(Debug, Default)]
pub(super) struct Slot {
    held: Option<Held>,
    failed: Option<Failed>,
    /// How many tokens there were.
    number: u64,
}

#[derive(Debug)]
struct Held {
    secret: Secret,
    replace_at: Instant,
    ends_at: Instant,
}

#[derive(Debug)]
struct Failed {
    reason: String,
    times: u32,
    again_at: Instant,
}

/// What follows.
#[derive(Debug)]
pub(super) enum Next {
    Use(Token),
    Ask,
    Fail(String),
}

impl Slot {
    /// What to do for somebody who wants a token, and was refused with one perhaps.
    pub(super) fn next(&mut self, now: Instant, refused: Option<&Token>) -> Next {
        if refused.is_some_and(|token| token.number == self.number) {
            self.held = None;
        }
        if let Some(held) = self.held.as_ref().filter(|held| now < held.replace_at) {
            return Next::Use(self.token(held, false));
        }
        let Some(failed) = self.failed.as_ref().filter(|failed| now < failed.again_at) else {
            return Next::Ask;
        };
        if let Some(held) = self.held.as_ref().filter(|held| now < held.ends_at) {
            return Next::Use(self.token(held, false));
        }
        let seconds = (failed.again_at - now).as_secs_f64().ceil();
        Next::Fail(format!("{} (it is asked again in {seconds} s at the earliest)", failed.reason))
    }

    /// Notes an answer, with when it was asked for and when it came. Near the end of a token the old one does as well.
    pub(super) fn note(
        &mut self,
        answer: Result<Grant, Error>,
        (asked_at, now): (Instant, Instant),
        chance: u8,
    ) -> Result<Token, String> {
        match answer {
            Ok(Grant { token, life }) => {
                let life = life.unwrap_or(DEFAULT_LIFE).min(LONGEST_LIFE);
                let held = Held {
                    secret: token,
                    replace_at: asked_at + used_for(life, chance),
                    ends_at: asked_at + life,
                };
                self.number += 1;
                self.failed = None;
                let token = self.token(&held, true);
                self.held = Some(held);
                Ok(token)
            }
            Err(error) => {
                let times = self.failed.as_ref().map_or(1, |failed| failed.times.saturating_add(1));
                let reason = error.to_string();
                self.failed = Some(Failed { reason: reason.clone(), times, again_at: now + pause(times) });
                let held = self.held.as_ref().filter(|held| now < held.ends_at);
                held.map(|held| self.token(held, false)).ok_or(reason)
            }
        }
    }

    fn token(&self, held: &Held, is_new: bool) -> Token {
        Token { secret: held.secret.clone(), number: self.number, is_new }
    }
}

/// How long a token is used before the next one is asked for. Chance moves it by up to a twentieth of its life, so that
/// control planes that start together do not ask together for ever.
fn used_for(life: Duration, chance: u8) -> Duration {
    let ahead = (life / 5).max(LEAST_AHEAD).min(life / 2);
    let sooner = life / 20 * u32::from(chance) / u32::from(u8::MAX);
    life.saturating_sub(ahead).saturating_sub(sooner)
}

fn pause(times: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(times.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn grant(token: &str, life: Option<Duration>) -> Grant {
        Grant { token: Secret::new(token.to_owned()), life }
    }

    fn down() -> Error {
        Error::Unavailable("answered with status 503".to_owned())
    }

    fn shown(next: &Next) -> String {
        match next {
            Next::Use(token) => token.secret.expose().clone(),
            Next::Ask => "ask".to_owned(),
            Next::Fail(reason) => reason.clone(),
        }
    }

    #[test]
    fn a_token_is_replaced_ahead_of_its_end() {
        for (minutes, least, most) in [(100, 75, 80), (10, 7, 8), (4, 2, 3)] {
            let life = minutes * MINUTE;
            assert_eq!(used_for(life, 0), most * MINUTE, "{minutes}");
            assert!(
                used_for(life, 255) >= least * MINUTE && used_for(life, 255) < most * MINUTE,
                "{minutes}"
            );
        }
        assert_eq!(used_for(MINUTE, 0), MINUTE / 2, "one that is short is used for half its life");
        assert_eq!(used_for(Duration::ZERO, 255), Duration::ZERO);
        assert!(used_for(Duration::MAX.min(LONGEST_LIFE), 255) < LONGEST_LIFE);
    }

    #[test]
    fn an_endpoint_that_fails_near_the_end_costs_nothing_until_the_end() {
        let (mut slot, start) = (Slot::default(), Instant::now());
        assert_eq!(shown(&slot.next(start, None)), "ask");
        assert!(slot.note(Ok(grant("one", Some(10 * MINUTE))), (start, start), 0).unwrap().is_new);
        assert_eq!(shown(&slot.next(start + 7 * MINUTE, None)), "one");
        let near = start + 8 * MINUTE;
        assert_eq!(shown(&slot.next(near, None)), "ask");
        assert_eq!(slot.note(Err(down()), (near, near), 0).unwrap().secret.expose(), "one");
        assert_eq!(shown(&slot.next(near, None)), "one", "and is not asked again at once");
        let end = start + 10 * MINUTE;
        assert_eq!(shown(&slot.next(end, None)), "ask");
        assert_eq!(
            slot.note(Err(down()), (end, end), 0).unwrap_err(),
            "the token endpoint answered with status 503"
        );
        assert!(
            shown(&slot.next(end, None)).contains("asked again in 2 s"),
            "{}",
            shown(&slot.next(end, None))
        );
    }

    #[test]
    fn pauses_double_to_a_minute_and_end_with_a_token() {
        let (mut slot, mut now) = (Slot::default(), Instant::now());
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(slot.note(Err(down()), (now, now), 0).is_err());
            let almost = now + Duration::from_millis(seconds * 1000 - 1);
            assert!(matches!(slot.next(almost, None), Next::Fail(_)), "{seconds}");
            now += Duration::from_secs(seconds);
            assert!(matches!(slot.next(now, None), Next::Ask), "{seconds}");
        }
        assert!(slot.note(Ok(grant("one", None)), (now, now), 0).is_ok());
        assert!(slot.failed.is_none());
        assert_eq!(shown(&slot.next(now + 3 * MINUTE, None)), "one", "the default life is five minutes");
        assert_eq!(shown(&slot.next(now + 5 * MINUTE, None)), "ask");
    }

    #[test]
    fn a_refused_token_is_used_no_more_and_a_newer_one_is() {
        let (mut slot, now) = (Slot::default(), Instant::now());
        let first = slot.note(Ok(grant("one", Some(MINUTE))), (now, now), 0).unwrap();
        assert_eq!(shown(&slot.next(now, Some(&first))), "ask");
        slot.note(Ok(grant("two", Some(MINUTE))), (now, now), 0).unwrap();
        assert_eq!(shown(&slot.next(now, Some(&first))), "two", "somebody else was faster");
    }

    #[test]
    fn a_token_without_any_life_is_used_once() {
        let (mut slot, now) = (Slot::default(), Instant::now());
        assert!(slot.note(Ok(grant("one", Some(Duration::ZERO))), (now, now), 0).is_ok());
        assert_eq!(shown(&slot.next(now, None)), "ask");
    }

    #[test]
    fn nothing_here_shows_a_token() {
        let (mut slot, now) = (Slot::default(), Instant::now());
        let token = slot.note(Ok(grant("s3cr3t", None)), (now, now), 0).unwrap();
        assert!(!format!("{slot:?} {token:?} {:?}", slot.next(now, None)).contains("s3cr3t"));
    }
}
