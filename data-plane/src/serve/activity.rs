//! What a connection is doing, and until when it may go on doing nothing.
//!
//! Owns the deadlines of connections that are not being answered. Never closes anything: who asks does.
//!
//! | since | it ends after |
//! |---|---|
//! | it was opened, and has not said a word | [`FIRST_WORD`] |
//! | the first byte of the head of a request over HTTP/1.1 | [`HEAD`] |
//! | its last answer, or the beginning of HTTP/2 | the idle limit |
//!
//! None of them is longer than the idle limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a new connection may say nothing at all.
const FIRST_WORD: Duration = Duration::from_secs(30);
/// How long the head of a request may take, from its first byte on.
pub(super) const HEAD: Duration = Duration::from_secs(10);

/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What one connection is doing. Times are milliseconds since it was opened.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    idle_limit: Duration,
    /// Requests that are being answered, streams that are open.
    running: AtomicUsize,
    /// When the last of them ended, or something was written over HTTP/1.1.
    since: AtomicU64,
    /// When the head of the next request began, plus one; zero where none has.
    head: AtomicU64,
    /// How much of the preface of HTTP/2 came.
    preface: AtomicUsize,
    /// A request has come.
    requested: AtomicBool,
    /// Others need its place.
    asked_to_leave: CancellationToken,
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub(super) struct Run(Arc<Activity>);

impl Activity {
    pub(super) fn new(idle_limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            idle_limit,
            running: AtomicUsize::new(0),
            since: AtomicU64::new(0),
            head: AtomicU64::new(0),
            preface: AtomicUsize::new(0),
            requested: AtomicBool::new(false),
            asked_to_leave: CancellationToken::new(),
        })
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Notes that a request is being answered.
    pub(super) fn run(self: &Arc<Self>) -> Run {
        self.running.fetch_add(1, Ordering::Relaxed);
        Run(Arc::clone(self))
    }

    /// Notes that the head of a request is complete.
    pub(super) fn requested(&self) {
        self.requested.store(true, Ordering::Relaxed);
        self.head.store(0, Ordering::Relaxed);
    }

    /// Notes what the peer sent.
    pub(super) fn heard(&self, bytes: &[u8]) {
        let known = self.preface.load(Ordering::Relaxed);
        if known < PREFACE.len() && !self.requested.load(Ordering::Relaxed) {
            let expected = PREFACE.get(known..).unwrap_or_default();
            let same = bytes.iter().zip(expected).take_while(|(one, other)| one == other).count();
            // What differs once will not be HTTP/2 any more.
            let known = if same == bytes.len().min(expected.len()) { known + same } else { 0 };
            self.preface.store(known, Ordering::Relaxed);
        }
        if !self.is_busy() && self.head.load(Ordering::Relaxed) == 0 {
            self.head.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    /// Notes that the peer took something. Over HTTP/2 that may be a mere acknowledgement, and streams are counted.
    pub(super) fn wrote(&self) {
        if !self.is_http2() {
            self.since.store(self.now(), Ordering::Relaxed);
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.preface.load(Ordering::Relaxed) == PREFACE.len()
    }

    pub(super) fn has_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Whether nothing has been asked of it, and nothing was taken by it, for that long.
    pub(super) fn is_quiet_for(&self, time: Duration) -> bool {
        !self.is_busy() && self.idle_from().elapsed() >= time
    }

    /// When it has to end unless something happens; `None` while it is being answered.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.is_busy() {
            return None;
        }
        let head = self.head.load(Ordering::Relaxed);
        let (from, limit) = match head.checked_sub(1) {
            Some(began) if !self.is_http2() => (began, HEAD),
            None if !self.has_requested() => (0, FIRST_WORD),
            _ => (self.since.load(Ordering::Relaxed), self.idle_limit),
        };
        Some(self.opened + Duration::from_millis(from) + limit.min(self.idle_limit))
    }

    /// Since when nothing was asked of it, if that is long enough to give its place to another: a tenth of the limit.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let may_go = !self.asked_to_leave.is_cancelled() && self.is_quiet_for(self.idle_limit / 10);
        may_go.then(|| self.idle_from())
    }

    fn idle_from(&self) -> Instant {
        self.opened + Duration::from_millis(self.since.load(Ordering::Relaxed))
    }

    /// Asks it to make room.
    pub(super) fn ask_to_leave(&self) {
        self.asked_to_leave.cancel();
    }

    /// Waits until it has to end: it was idle for too long, or another needs its place.
    pub(super) async fn over(&self) -> Over {
        loop {
            let now = Instant::now();
            let due = self.due();
            if due.is_some_and(|due| due <= now) {
                return Over::Idle;
            }
            // A head may begin at any time, and has this long.
            let look = now + HEAD.min(self.idle_limit);
            tokio::select! {
                () = self.asked_to_leave.cancelled() => return Over::GivesWay,
                () = tokio::time::sleep_until(due.map_or(look, |due| due.min(look))) => {}
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Why a connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// A deadline passed.
    Idle,
    /// Another needs its place.
    GivesWay,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.since.store(self.0.now(), Ordering::Relaxed);
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(75);

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    fn left(activity: &Activity) -> Option<u64> {
        activity.due().map(|due| due.saturating_duration_since(Instant::now()).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_over_http1_has_a_deadline_whatever_it_does_not_do() {
        let activity = Activity::new(LIMIT);
        assert_eq!(left(&activity), Some(30), "silent");
        pass(20).await;
        activity.heard(b"P");
        pass(4).await;
        activity.heard(b"OST / HTTP/1.1\r\n");
        assert_eq!(left(&activity), Some(6), "more of a head gives no more time");
        activity.requested();
        let run = activity.run();
        pass(1000).await;
        activity.heard(b"a pipelined head");
        assert_eq!(left(&activity), None, "it is being answered");
        drop(run);
        assert_eq!(left(&activity), Some(75), "idle");
        pass(74).await;
        activity.wrote();
        assert_eq!(left(&activity), Some(75), "the peer still takes the answer");
        pass(74).await;
        activity.heard(b"GET");
        assert_eq!(left(&activity), Some(10), "the next head");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_over_http2_is_idle_without_streams_whatever_frames_come() {
        let activity = Activity::new(LIMIT);
        let (one, other) = PREFACE.split_at(5);
        activity.heard(one);
        assert!(!activity.is_http2());
        activity.heard(&[other, b"settings"].concat());
        assert!(activity.is_http2());
        pass(70).await;
        activity.heard(b"ping");
        activity.wrote();
        assert_eq!(left(&activity), Some(5));
        let over = activity.over().await;
        assert_eq!((over, left(&activity)), (Over::Idle, Some(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_been_idle_for_a_while_gives_way_once() {
        let activity = Activity::new(LIMIT);
        pass(7).await;
        assert_eq!(activity.idle_since(), None, "it may be about to ask");
        pass(1).await;
        assert_eq!(activity.idle_since(), Some(activity.opened()));
        let run = activity.run();
        assert_eq!(activity.idle_since(), None);
        drop(run);
        pass(8).await;
        assert!(activity.idle_since().is_some());
        activity.ask_to_leave();
        assert_eq!((activity.idle_since(), activity.over().await), (None, Over::GivesWay));
    }
}
