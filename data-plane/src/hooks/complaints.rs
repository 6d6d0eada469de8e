//! How often the log says that a hook fails.
//!
//! A service that is down fails every phase of every call; one line a second for each kind of failure says as much.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Phase;

/// The time between two lines of the same kind.
const EVERY: Duration = Duration::from_secs(1);

/// What was said last, by phase and kind of failure.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<BTreeMap<(Phase, &'static str), Said>>);

#[derive(Debug)]
struct Said {
    at: Instant,
    unsaid: u64,
}

impl Complaints {
    /// Whether a failure is to be said now, with how many like it were not.
    pub(super) fn may_say(&self, phase: Phase, word: &'static str) -> Option<u64> {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(said) = all.get_mut(&(phase, word)) else {
            all.insert((phase, word), Said { at: now, unsaid: 0 });
            return Some(0);
        };
        if now.duration_since(said.at) < EVERY {
            said.unsaid += 1;
            return None;
        }
        said.at = now;
        Some(std::mem::take(&mut said.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_kind_of_failure_is_said_once_a_second_with_a_count() {
        let complaints = Complaints::default();
        let say = |phase| complaints.may_say(phase, "failed");
        assert_eq!([say(Phase::Authenticate), say(Phase::FilterTools)], [Some(0); 2]);
        assert_eq!([say(Phase::Authenticate), say(Phase::Authenticate)], [None; 2]);
        assert_eq!(complaints.may_say(Phase::Authenticate, "timeout"), Some(0));
        tokio::time::advance(EVERY).await;
        assert_eq!([say(Phase::Authenticate), say(Phase::FilterTools)], [Some(2), Some(0)]);
    }
}
