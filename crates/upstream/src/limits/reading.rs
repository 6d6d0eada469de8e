//! What an operator may see of one upstream's limits: numbers, for whoever exports them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::breaker::Phase;

/// Counts since the state came to be, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Calls that run.
    pub running: usize,
    /// Calls that wait until they may.
    pub waiting: usize,
    /// Where the breaker stands.
    pub phase: Phase,
    /// Attempts that were sent, repetitions included.
    pub attempts: u64,
    /// Attempts that count as ill health.
    pub failures: u64,
    /// Attempts that ended with a timeout.
    pub timeouts: u64,
    /// Repetitions.
    pub retries: u64,
    /// Repetitions that the budget did not allow.
    pub retries_denied: u64,
    /// What the budget has left, in thousandths of a repetition.
    pub retry_budget: u32,
    /// Calls that found every place taken, or waited in vain.
    pub overloaded: u64,
    /// Calls that the open breaker refused.
    pub spared: u64,
    /// How often the breaker opened.
    pub openings: u64,
}

/// The counts, where they are counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) attempts: Count,
    /// Of them those that were answered, in whatever way says that the upstream works.
    pub(super) answers: Count,
    pub(super) failures: Count,
    pub(super) timeouts: Count,
    pub(super) retries: Count,
    pub(super) retries_denied: Count,
    pub(super) overloaded: Count,
    pub(super) spared: Count,
    pub(super) openings: Count,
}

/// One count.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
