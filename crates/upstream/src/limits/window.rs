//! How many calls went well and how many failed in the last ten seconds, counted without a lock.
//!
//! Each second is one word: which second it is, and two counts. A word of an earlier second is simply replaced.

use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds that are looked back.
const SECONDS: u64 = 10;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// One for each of the [`SECONDS`]: 32 bits of the second, 16 of calls, 16 of failures.
    words: [AtomicU64; 10],
}

impl Window {
    /// Counts one call at a time in milliseconds.
    pub(super) fn count(&self, now: u64, has_failed: bool) {
        let second = now / 1000;
        let Some(word) = self.words.get((second % SECONDS) as usize) else { return };
        let mut held = word.load(Ordering::Relaxed);
        loop {
            let (calls, failed) = if held >> 32 == second & 0xffff_ffff { counts(held) } else { (0, 0) };
            // A full second keeps its share.
            let (calls, failed) = if calls == 0xffff { (calls / 2, failed / 2) } else { (calls, failed) };
            let next = second << 32 | (calls + 1) << 16 | (failed + u64::from(has_failed));
            match word.compare_exchange_weak(held, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => held = found,
            }
        }
    }

    /// Calls and failures of the last seconds, but none of a second that began before `since`.
    pub(super) fn sum(&self, now: u64, since: u64) -> (u32, u32) {
        let newest = now / 1000;
        let oldest = (newest + 1).saturating_sub(SECONDS).max(since.div_ceil(1000));
        let (mut calls, mut failed) = (0, 0);
        for word in &self.words {
            let held = word.load(Ordering::Relaxed);
            if (oldest..=newest).contains(&(held >> 32)) {
                let (some, ill) = counts(held);
                (calls, failed) = (calls + some, failed + ill);
            }
        }
        (u32::try_from(calls).unwrap_or(u32::MAX), u32::try_from(failed).unwrap_or(u32::MAX))
    }
}

fn counts(word: u64) -> (u64, u64) {
    (word >> 16 & 0xffff, word & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_ten_seconds_and_nothing_from_before_count() {
        let window = Window::default();
        for second in 0..30 {
            window.count(second * 1000 + 500, second % 2 == 0);
        }
        assert_eq!(window.sum(29_900, 0), (10, 5), "20 to 29");
        assert_eq!(window.sum(31_000, 0), (8, 4), "22 to 29");
        assert_eq!(window.sum(99_000, 0), (0, 0));
        assert_eq!(window.sum(29_900, 26_001), (3, 1), "27 to 29: 26 had begun");
        assert_eq!(window.sum(29_900, 26_000), (4, 2));
    }

    #[test]
    fn a_full_second_keeps_its_share() {
        let window = Window::default();
        for call in 0..200_000 {
            window.count(5000, call % 4 == 0);
        }
        let (calls, failed) = window.sum(5000, 0);
        assert!(calls >= 0x7fff && (failed * 4).abs_diff(calls) < calls / 50, "{failed} of {calls}");
    }

    #[test]
    fn no_call_is_lost_between_threads() {
        let window = Window::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5000).for_each(|call| window.count(7000, call % 2 == 0)));
            }
        });
        assert_eq!(window.sum(7000, 0), (20_000, 10_000));
    }
}
