//! Turns at connecting, where one connection may serve all who ask for one.
//!
//! Owns how long a call waits for what another one connects: for a head start, so that whoever connects slowly, or to
//! somebody who never answers, holds up nobody for long. Those who waited in vain connect side by side. Knows nothing
//! of connections; those are the pool's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How long whoever has the turn connects alone. Most connections stand by then, and a call that waited for nothing is
/// not late yet: it is what one address gets before the next (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// One part in so many of its time for connecting is the most that a call waits: the rest is for trying itself.
const SHARE: u32 = 4;

/// The turns at one origin. There is one at a time.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Option<watch::Receiver<bool>>>);

/// How somebody who asks for a connection comes by it.
#[derive(Debug)]
pub(super) enum Next {
    /// By connecting for all.
    Ours(Turn),
    /// By waiting for somebody else.
    Theirs(Waiting),
}

/// Held while connecting. Where it is dropped before its end, nobody knows whether connecting works: one of those who
/// wait has the next turn.
#[derive(Debug)]
pub(super) struct Turn(watch::Sender<bool>);

/// Waits for the end of a turn, which is seen however early it comes.
#[derive(Debug)]
pub(super) struct Waiting(watch::Receiver<bool>);

/// The longest that a call waits for others, which has so long for connecting.
pub(super) fn head_start(limit: Duration) -> Duration {
    HEAD_START.min(limit / SHARE)
}

impl Turns {
    /// Takes the turn, or a place behind whoever has it.
    pub(super) fn join(&self) -> Next {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Its channel is closed where nobody holds the turn any more.
        if let Some(turn) = last.as_ref().filter(|turn| turn.has_changed().is_ok()) {
            return Next::Theirs(Waiting(turn.clone()));
        }
        let (turn, waiting) = watch::channel(false);
        *last = Some(waiting);
        Next::Ours(Turn(turn))
    }
}

impl Turn {
    /// Connecting has come to its end, good or bad: nobody needs to wait any longer.
    pub(super) fn end(self) {
        self.0.send_replace(true);
    }
}

impl Waiting {
    /// Waits until then at most. `false`: the turn was given up, and somebody should take the next.
    pub(super) async fn ends_before(mut self, until: Instant) -> bool {
        !matches!(timeout_at(until, self.0.wait_for(|is_over| *is_over)).await, Ok(Err(_)))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn ours(turns: &Turns) -> Turn {
        match turns.join() {
            Next::Ours(turn) => turn,
            Next::Theirs(_) => panic!("somebody else has the turn"),
        }
    }

    fn theirs(turns: &Turns) -> Waiting {
        match turns.join() {
            Next::Theirs(waiting) => waiting,
            Next::Ours(_) => panic!("nobody has the turn"),
        }
    }

    fn later() -> Instant {
        Instant::now() + HEAD_START
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_turn_frees_all_who_wait_at_once() {
        let turns = Turns::default();
        let turn = ours(&turns);
        let mut waiting = Box::pin(theirs(&turns).ends_before(later()));
        let unasked = theirs(&turns);
        assert_eq!(waiting.as_mut().now_or_never(), None);
        turn.end();
        assert_eq!(waiting.now_or_never(), Some(true));
        assert_eq!(unasked.ends_before(later()).now_or_never(), Some(true), "it ended before anybody asked");
        let _next = ours(&turns);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_given_up_passes_to_one_of_those_who_wait() {
        let turns = Turns::default();
        let turn = ours(&turns);
        let (one, other) = (theirs(&turns), theirs(&turns));
        drop(turn);
        assert_eq!(one.ends_before(later()).now_or_never(), Some(false));
        let next = ours(&turns);
        assert_eq!(other.ends_before(later()).now_or_never(), Some(false));
        let waiting = theirs(&turns);
        next.end();
        assert_eq!(waiting.ends_before(later()).now_or_never(), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_head_start() {
        let turns = Turns::default();
        let _hanging = ours(&turns);
        let began = Instant::now();
        assert!(theirs(&turns).ends_before(began + head_start(Duration::from_secs(5))).await);
        assert_eq!(began.elapsed(), HEAD_START);
        assert_eq!(head_start(Duration::from_millis(100)), Duration::from_millis(25));
    }
}
