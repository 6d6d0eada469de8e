//! When an upstream is spared for a while: a state machine over explicit time.
//!
//! | phase | a call comes | an answer counts | it goes on to |
//! |---|---|---|---|
//! | closed | passes | failures in a row, and their share of the last seconds | open, once either is too much |
//! | open | is refused, told when to come back | not at all: it is of a call from before | half-open, with the first call after the open time |
//! | half-open | is refused, but for one probe | the probe's alone | closed when it went well, open for longer when not |
//!
//! A probe that nobody waits for any more says nothing: the next call probes. Each opening that follows within
//! [`CALM`] of a closing lasts twice as long as the one before, up to a minute.
//!
//! [`Phase`] is the machine, pure; [`Breaker`] keeps one in an atomic word.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::window::Window;

/// How long the first opening lasts, in milliseconds.
const FIRST_OPENING: u64 = 1000;
/// How long one lasts at most, in milliseconds.
const LONGEST_OPENING: u64 = 60_000;
/// Closed for that long, earlier openings are forgotten. In milliseconds.
pub(super) const CALM: u64 = 60_000;
/// Calls that the window must hold before their share of failures means anything.
const ENOUGH_CALLS: u32 = 20;

/// Where a breaker stands. Times are milliseconds of one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Calls pass.
    Closed {
        /// Since when. Answers to calls from before do not count.
        since: u64,
        /// How many calls failed in a row.
        failures: u16,
        /// How often it opened without calm between.
        openings: u8,
    },
    /// No call passes.
    Open {
        /// Until when.
        until: u64,
        /// As above, this one included.
        openings: u8,
    },
    /// One call passes and decides.
    HalfOpen {
        /// Since when; it tells the probe from others.
        since: u64,
        /// As above.
        openings: u8,
    },
}

/// The right to send one call; its outcome is judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    admitted: u64,
    is_probe: bool,
}

/// Whether a call may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Passed(Pass),
    /// It may not; it is worth another try after this.
    Refused(Duration),
}

/// What a call says about its upstream's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works, whatever it answered.
    Healthy,
    /// It does not.
    Ill,
    /// Nothing.
    Unknown,
}

/// A change worth a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No call passes any more.
    Opened {
        /// For how long.
        pause: Duration,
    },
    /// Calls pass again.
    Closed,
}

/// A breaker. Calls that go well in a healthy phase read one word and count in another; nothing ever waits.
#[derive(Debug)]
pub struct Breaker {
    phase: AtomicU64,
    window: Window,
}

// ---- Phase ----

impl Phase {
    /// Whether a call may be sent now.
    pub fn admit(self, now: u64) -> (Self, Admission) {
        let wait = |millis: u64| Admission::Refused(Duration::from_millis(millis.max(1)));
        match self {
            Self::Closed { .. } => (self, Admission::Passed(Pass { admitted: now, is_probe: false })),
            Self::Open { until, .. } if now < until => (self, wait(until - now)),
            Self::Open { openings, .. } => {
                let pass = Pass { admitted: now, is_probe: true };
                (Self::HalfOpen { since: now, openings }, Admission::Passed(pass))
            }
            Self::HalfOpen { .. } => (self, wait(FIRST_OPENING)),
        }
    }

    /// What the outcome of a call makes of it. `too_many` is how many failures in a row are; `random` spreads openings, so that nodes do not all probe at once.
    pub fn judge(
        self,
        pass: Pass,
        verdict: Verdict,
        now: u64,
        too_many: u32,
        random: u32,
    ) -> (Self, Option<Change>) {
        match (self, verdict) {
            (Self::Closed { since, failures, openings }, _) if pass.admitted >= since => {
                let failures = match verdict {
                    Verdict::Healthy => 0,
                    Verdict::Ill => failures.saturating_add(1),
                    Verdict::Unknown => failures,
                };
                if verdict == Verdict::Ill && u32::from(failures) >= too_many {
                    let openings = if now.saturating_sub(since) >= CALM { 0 } else { openings };
                    return Self::opened(now, openings, random);
                }
                (Self::Closed { since, failures, openings }, None)
            }
            (Self::HalfOpen { since, openings }, _) if pass.is_probe && pass.admitted == since => {
                match verdict {
                    Verdict::Healthy => {
                        (Self::Closed { since: now, failures: 0, openings }, Some(Change::Closed))
                    }
                    Verdict::Ill => Self::opened(now, openings, random),
                    Verdict::Unknown => (Self::Open { until: now, openings }, None),
                }
            }
            _ => (self, None),
        }
    }

    fn opened(now: u64, before: u8, random: u32) -> (Self, Option<Change>) {
        // Six doublings pass the longest; more would run over.
        let millis = (FIRST_OPENING << before.min(6)).min(LONGEST_OPENING);
        let millis = millis + millis * u64::from(random) / u64::from(u32::MAX) / 4;
        let change = Change::Opened { pause: Duration::from_millis(millis) };
        // Beyond this the pause grows no more.
        let openings = before.saturating_add(1).min(MOST_OPENINGS);
        (Self::Open { until: now + millis, openings }, Some(change))
    }
}

// ---- as a word: 2 bits of phase, 6 of openings, 12 of failures, 44 of time ----

const MOST_OPENINGS: u8 = (1 << 6) - 1;
const MOST_FAILURES: u64 = (1 << 12) - 1;
const LATEST: u64 = (1 << 44) - 1;

impl From<Phase> for u64 {
    fn from(phase: Phase) -> Self {
        let (tag, openings, failures, time) = match phase {
            Phase::Closed { since, failures, openings } => (0, openings, failures, since),
            Phase::Open { until, openings } => (1, openings, 0, until),
            Phase::HalfOpen { since, openings } => (2, openings, 0, since),
        };
        let openings = Self::from(openings.min(MOST_OPENINGS));
        let failures = Self::from(failures).min(MOST_FAILURES);
        tag << 62 | openings << 56 | failures << 44 | time.min(LATEST)
    }
}

impl From<u64> for Phase {
    fn from(word: u64) -> Self {
        let openings = (word >> 56) as u8 & MOST_OPENINGS;
        let failures = (word >> 44 & MOST_FAILURES) as u16;
        let time = word & LATEST;
        match word >> 62 {
            0 => Self::Closed { since: time, failures, openings },
            1 => Self::Open { until: time, openings },
            _ => Self::HalfOpen { since: time, openings },
        }
    }
}

// ---- Breaker ----

impl Default for Breaker {
    fn default() -> Self {
        let closed = Phase::Closed { since: 0, failures: 0, openings: 0 };
        Self { phase: AtomicU64::new(closed.into()), window: Window::default() }
    }
}

impl Breaker {
    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase.load(Ordering::Acquire).into()
    }

    /// Whether a call may be sent now.
    pub fn admit(&self, now: u64) -> Admission {
        let mut admission = None;
        self.update(|phase| {
            let (next, found) = phase.admit(now);
            admission = Some(found);
            next
        });
        // The closure ran at least once.
        admission.unwrap_or(Admission::Refused(Duration::from_millis(FIRST_OPENING)))
    }

    /// Takes the outcome of a call in.
    pub fn judge(
        &self,
        pass: Pass,
        verdict: Verdict,
        now: u64,
        too_many: u32,
        random: u32,
    ) -> Option<Change> {
        let phase = self.phase();
        if verdict != Verdict::Unknown {
            self.window.count(now, verdict == Verdict::Ill);
        }
        if matches!(phase, Phase::Closed { failures: 0, .. }) && verdict != Verdict::Ill {
            return None;
        }
        // Where most calls fail, one failure is enough, whatever came right before it.
        let too_many = match phase {
            Phase::Closed { since, .. } if self.mostly_fails(now, since) => 1,
            _ => too_many,
        };
        let mut change = None;
        self.update(|phase| {
            let (next, found) = phase.judge(pass, verdict, now, too_many, random);
            change = found;
            next
        });
        change
    }

    fn mostly_fails(&self, now: u64, since: u64) -> bool {
        let (calls, failed) = self.window.sum(now, since);
        calls >= ENOUGH_CALLS && failed * 2 >= calls
    }

    fn update(&self, mut step: impl FnMut(Phase) -> Phase) {
        let mut word = self.phase.load(Ordering::Acquire);
        loop {
            let next = step(word.into()).into();
            if next == word {
                return;
            }
            match self.phase.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }
}

#[cfg(test)]
mod tests;
