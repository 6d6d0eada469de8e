//! How many repetitions an upstream may be given: a share of its recent calls, and a trickle for those seldom called.
//!
//! A bucket over explicit time. Every call puts in a fifth of a repetition, every second a whole one, up to ten; every
//! repetition takes one out. [`Balance`] is the arithmetic, pure; [`Budget`] keeps one in an atomic word.

use std::sync::atomic::{AtomicU64, Ordering};

/// Everything is counted in thousandths of a repetition.
const WHOLE: u32 = 1000;
/// What a call puts in.
const PER_CALL: u32 = WHOLE / 5;
/// What fits in: what fifty calls put in.
const MOST: u32 = 10 * WHOLE;

/// What is left, and up to when time was counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    thousandths: u32,
    /// Seconds of the clock.
    second: u32,
}

/// A budget.
#[derive(Debug)]
pub struct Budget(AtomicU64);

impl Balance {
    /// What a call puts in.
    #[must_use]
    pub fn deposit(self, now: u64) -> Self {
        let Self { thousandths, second } = self.at(now);
        Self { thousandths: (thousandths + PER_CALL).min(MOST), second }
    }

    /// What is left after a repetition; none where there is not enough for one.
    pub fn withdraw(self, now: u64) -> Option<Self> {
        let Self { thousandths, second } = self.at(now);
        Some(Self { thousandths: thousandths.checked_sub(WHOLE)?, second })
    }

    /// How much there is, in thousandths of a repetition.
    pub fn left(self, now: u64) -> u32 {
        self.at(now).thousandths
    }

    fn at(self, now: u64) -> Self {
        let now = u32::try_from(now / 1000).unwrap_or(u32::MAX);
        let passed = now.saturating_sub(self.second).min(MOST / WHOLE);
        let thousandths = (self.thousandths + passed * WHOLE).min(MOST);
        Self { thousandths, second: self.second.max(now) }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU64::new(Balance { thousandths: MOST, second: 0 }.into()))
    }
}

impl Budget {
    /// Notes a call.
    pub fn deposit(&self, now: u64) {
        let _unchanged = self.update(|balance| Some(balance.deposit(now)));
    }

    /// Takes a repetition out, where there is one.
    pub fn withdraw(&self, now: u64) -> bool {
        self.update(|balance| balance.withdraw(now))
    }

    /// How much there is, in thousandths of a repetition.
    pub fn left(&self, now: u64) -> u32 {
        Balance::from(self.0.load(Ordering::Relaxed)).left(now)
    }

    fn update(&self, step: impl Fn(Balance) -> Option<Balance>) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let Some(next) = step(word.into()).map(u64::from) else { return false };
            if next == word {
                return true;
            }
            match self.0.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => word = found,
            }
        }
    }
}

impl From<Balance> for u64 {
    fn from(balance: Balance) -> Self {
        Self::from(balance.second) << 32 | Self::from(balance.thousandths)
    }
}

impl From<u64> for Balance {
    #[expect(clippy::cast_possible_truncation, reason = "each half is what it is")]
    fn from(word: u64) -> Self {
        Self { thousandths: word as u32, second: (word >> 32) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(thousandths: u32, second: u32) -> Balance {
        Balance { thousandths, second }
    }

    #[test]
    fn calls_and_time_put_in_and_repetitions_take_out() {
        for (before, now, deposited, withdrawn) in [
            (balance(0, 5), 5000, balance(200, 5), None),
            (balance(999, 5), 5999, balance(1199, 5), None),
            (balance(1000, 5), 5000, balance(1200, 5), Some(balance(0, 5))),
            (balance(0, 5), 6000, balance(1200, 6), Some(balance(0, 6))),
            (balance(0, 5), 900_000, balance(MOST, 900), Some(balance(9000, 900))),
            (balance(MOST, 5), 5000, balance(MOST, 5), Some(balance(9000, 5))),
            // A clock that was read a little earlier by another thread takes nothing back.
            (balance(1000, 5), 4000, balance(1200, 5), Some(balance(0, 5))),
        ] {
            assert_eq!(before.deposit(now), deposited, "{before:?} at {now}");
            assert_eq!(before.withdraw(now), withdrawn, "{before:?} at {now}");
            assert_eq!(before.left(now) >= WHOLE, withdrawn.is_some(), "{before:?} at {now}");
            assert_eq!(Balance::from(u64::from(before)), before);
        }
    }

    #[test]
    fn in_the_long_run_a_fifth_of_the_calls_is_repeated() {
        let budget = Budget::default();
        let repeated = (0..1000)
            .filter(|_| {
                budget.deposit(0);
                budget.withdraw(0)
            })
            .count();
        assert_eq!(repeated, 10 + 200 - 1, "what was there, and a fifth; the last is not whole yet");
    }

    #[test]
    fn threads_never_take_out_more_than_there_is() {
        let budget = Budget::default();
        let taken = std::thread::scope(|scope| {
            let take = || (0..100).filter(|_| budget.withdraw(0)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(taken, 10);
    }
}
