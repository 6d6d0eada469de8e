//! The connections that are open, and which of them give way.
//!
//! Owns the bound of their number and how long one may be of no use: a connection that asked for nothing, one that
//! showed no token, and one on which nothing is open. Where there is no more room, the oldest that showed no token
//! gives way to the newest, so that whoever connects and says nothing keeps nobody out. Never reads or writes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::connections::Connections;

/// How long a connection may be of no use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From its beginning to its first request.
    pub(super) first_request: Duration,
    /// From its beginning to the first request with a token that holds.
    pub(super) first_token: Duration,
    /// From the end of the last request to the next.
    pub(super) idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(10),
            first_token: Duration::from_mins(1),
            idle: Duration::from_mins(5),
        }
    }
}

/// The connections that are open. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Crowd(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    room: usize,
    patience: Patience,
    metrics: Connections,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    count: usize,
    /// Those that may have shown no token yet, oldest first.
    newcomers: VecDeque<Weak<Member>>,
}

/// One connection, as the requests on it see it.
#[derive(Debug, Clone)]
pub(crate) struct Activity(Arc<Member>);

#[derive(Debug)]
struct Member {
    peer: Option<SocketAddr>,
    opened: Instant,
    using: Mutex<Use>,
    displaced: CancellationToken,
}

#[derive(Debug)]
struct Use {
    requests: usize,
    has_asked: bool,
    has_token: bool,
    last: Instant,
}

/// A request that is not answered to its end; it is when this is dropped.
#[derive(Debug)]
pub(super) struct Request(Activity);

/// The place of a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    pub(super) activity: Activity,
}

// ---- Crowd ----

impl Crowd {
    pub(super) fn new(room: usize, patience: Patience, metrics: Connections) -> Self {
        Self(Arc::new(Inner { room, patience, metrics, members: Mutex::default() }))
    }

    /// Makes room for a connection; `None` where all of those that are open have shown a token.
    pub(super) fn enter(&self, peer: Option<SocketAddr>) -> Option<Place> {
        let Inner { room, metrics, .. } = &*self.0;
        let mut members = self.members();
        if members.count >= *room {
            let Some(oldest) = members.oldest_newcomer() else {
                metrics.dropped("full");
                return None;
            };
            // Its place is taken at once: it notices when it is polled.
            oldest.displaced.cancel();
            members.count -= 1;
            metrics.dropped("displaced");
        }
        let now = Instant::now();
        let using = Mutex::new(Use { requests: 0, has_asked: false, has_token: false, last: now });
        let member = Arc::new(Member { peer, opened: now, using, displaced: CancellationToken::new() });
        members.count += 1;
        members.sweep();
        members.newcomers.push_back(Arc::downgrade(&member));
        metrics.opened();
        drop(members);
        Some(Place { crowd: self.clone(), activity: Activity(member) })
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    fn oldest_newcomer(&mut self) -> Option<Arc<Member>> {
        while let Some(oldest) = self.newcomers.pop_front() {
            let oldest = oldest.upgrade().filter(|oldest| oldest.is_newcomer());
            if oldest.is_some() {
                return oldest;
            }
        }
        None
    }

    /// Forgets those in front that are newcomers no longer.
    fn sweep(&mut self) {
        while let Some(oldest) = self.newcomers.pop_front() {
            if oldest.upgrade().is_some_and(|oldest| oldest.is_newcomer()) {
                self.newcomers.push_front(oldest);
                return;
            }
        }
    }
}

// ---- Place ----

impl Place {
    /// Waits until somebody else was given this place.
    pub(super) fn displaced(&self) -> CancellationToken {
        self.activity.0.displaced.clone()
    }

    /// When the connection has been of no use for too long; `None` while it is of use.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let Patience { first_request, first_token, idle } = self.crowd.0.patience;
        let Member { opened, .. } = *self.activity.0;
        let using = self.activity.0.using();
        match *using {
            Use { has_asked: false, .. } => Some(opened + first_request),
            Use { has_token: false, .. } => Some(opened + first_token),
            Use { requests: 0, last, .. } => Some(last + idle),
            Use { .. } => None,
        }
    }

    /// When to ask again for the deadline of a connection that is of use.
    pub(super) fn look_again(&self) -> Instant {
        Instant::now() + self.crowd.0.patience.idle
    }

    /// Notes that the connection is ended because it is of no use.
    pub(super) fn expired(&self) {
        self.crowd.0.metrics.dropped("idle");
        tracing::debug!(peer = ?self.activity.0.peer, "ended a connection that was of no use");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.activity.0.displaced.is_cancelled() {
            self.crowd.members().count -= 1;
        }
        self.crowd.0.metrics.closed();
    }
}

// ---- Activity ----

impl Activity {
    /// Where the other side is; absent on a Unix socket.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Notes that a request showed a token that holds.
    pub(crate) fn showed_token(&self) {
        self.0.using().has_token = true;
    }

    /// Notes that a request began.
    pub(super) fn request(&self) -> Request {
        let mut using = self.0.using();
        using.has_asked = true;
        using.requests += 1;
        drop(using);
        Request(self.clone())
    }
}

impl Member {
    fn using(&self) -> MutexGuard<'_, Use> {
        self.using.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_newcomer(&self) -> bool {
        !self.using().has_token && !self.displaced.is_cancelled()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut using = self.0.0.using();
        using.requests -= 1;
        using.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn crowd(room: usize) -> Crowd {
        Crowd::new(room, Patience::default(), Metrics::new(None).connections())
    }

    #[tokio::test]
    async fn the_oldest_without_a_token_gives_way_and_nobody_else() {
        let crowd = crowd(3);
        let [proven, first, second] = [(); 3].map(|()| crowd.enter(None).unwrap());
        proven.activity.showed_token();
        let third = crowd.enter(None).unwrap();
        assert!(first.displaced().is_cancelled());
        for other in [&proven, &second, &third] {
            assert!(!other.displaced().is_cancelled());
        }
        second.activity.showed_token();
        third.activity.showed_token();
        assert!(crowd.enter(None).is_none(), "all of them are in use");
        drop(first);
        assert!(crowd.enter(None).is_none(), "its place was taken already");
        drop(third);
        assert!(crowd.enter(None).is_some());
    }

    #[tokio::test]
    async fn what_is_of_no_use_ends_and_a_stream_keeps_its_connection() {
        let crowd = crowd(1);
        let place = crowd.enter(None).unwrap();
        let opened = place.activity.0.opened;
        let Patience { first_request, first_token, .. } = Patience::default();
        assert_eq!(place.deadline(), Some(opened + first_request));
        let stream = place.activity.request();
        assert_eq!(place.deadline(), Some(opened + first_token), "a health check goes on for so long");
        place.activity.showed_token();
        assert_eq!(place.deadline(), None);
        drop(stream);
        assert!(place.deadline().is_some());
    }
}
