//! When a service was last heard of over one connection.
//!
//! Owns the moment from which on a connection is doubtful: a question stays unanswered, and nothing has been heard for so
//! long that asking whether anybody is there disturbs no server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long nothing is heard of a service that owes answers before it is pinged. Servers of gRPC close a connection on
/// which they are pinged more often than every five minutes, or again and again while nobody asks anything; deadlines
/// notice a dead service sooner in any case.
pub(super) const PING_EVERY: Duration = Duration::from_secs(330);

/// The signs of life of one connection.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    /// When something was last heard, in milliseconds from the beginning.
    heard: AtomicU64,
    awaited: AtomicUsize,
    doubt: Notify,
}

/// One answer that is awaited. Dropping it says that nobody waits any more, answered or not.
#[derive(Debug)]
pub(super) struct Awaited(Arc<Pulse>);

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        let (heard, awaited, doubt) = (AtomicU64::new(0), AtomicUsize::new(0), Notify::new());
        Arc::new(Self { began: Instant::now(), heard, awaited, doubt })
    }

    /// An answer is awaited from now on.
    pub(super) fn awaiting(self: &Arc<Self>) -> Awaited {
        self.awaited.fetch_add(1, Ordering::Relaxed);
        Awaited(Arc::clone(self))
    }

    /// The service lives.
    pub(super) fn hear(&self) {
        self.heard.store(self.age(), Ordering::Relaxed);
    }

    /// Ends when it is time to ask whether anybody is there.
    pub(super) async fn doubtful(&self) {
        loop {
            tokio::select! {
                () = self.doubt.notified() => {}
                () = tokio::time::sleep(PING_EVERY) => {
                    if self.awaited.load(Ordering::Relaxed) == 0 {
                        continue;
                    }
                }
            }
            if self.is_silent() {
                return;
            }
        }
    }

    fn is_silent(&self) -> bool {
        let silent = self.age().saturating_sub(self.heard.load(Ordering::Relaxed));
        Duration::from_millis(silent) >= PING_EVERY
    }

    fn age(&self) -> u64 {
        self.began.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }
}

impl Awaited {
    /// Something of the answer arrived.
    pub(super) fn hear(&self) {
        self.0.hear();
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.awaited.fetch_sub(1, Ordering::Relaxed);
        // An answer that arrived is a sign of life, so this wakes nobody for one.
        if self.0.is_silent() {
            self.0.doubt.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_question_that_stays_unanswered_in_a_long_silence_raises_doubt() {
        let pulse = Pulse::new();
        let doubts = || pulse.doubtful().now_or_never().is_some();
        drop(pulse.awaiting());
        assert!(!doubts(), "it was heard of a moment ago");
        tokio::time::advance(PING_EVERY).await;
        assert!(!doubts(), "nobody asked anything");
        let answered = pulse.awaiting();
        answered.hear();
        drop(answered);
        assert!(!doubts(), "it answered");
        tokio::time::advance(PING_EVERY).await;
        drop(pulse.awaiting());
        assert!(doubts());
        assert!(!doubts(), "once for each question");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_awaited_for_long_raises_doubt_too() {
        let pulse = Pulse::new();
        let _awaited = pulse.awaiting();
        let began = Instant::now();
        pulse.doubtful().await;
        assert_eq!(began.elapsed().as_secs(), PING_EVERY.as_secs());
    }
}
