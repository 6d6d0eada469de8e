//! Calls that are never answered: who waits for which of them, and when that ends.
//!
//! Each is named by its argument, so that whoever made it can ask what became of it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Held(watch::Sender<BTreeMap<String, Fate>>);

/// What became of one.
#[derive(Debug)]
struct Fate {
    /// The id of its request, as it came.
    request: String,
    /// When it was canceled, in nanoseconds, and how.
    canceled: Option<(u64, &'static str)>,
}

/// A call is held for as long as this lives.
#[derive(Debug)]
pub(super) struct Guard {
    held: Arc<Held>,
    name: String,
}

impl Held {
    pub(super) fn hold(self: &Arc<Self>, name: &str, request: &str) -> Guard {
        let fate = Fate { request: request.to_owned(), canceled: None };
        self.0.send_modify(|calls| drop(calls.insert(name.to_owned(), fate)));
        Guard { held: Arc::clone(self), name: name.to_owned() }
    }

    /// Notes a `notifications/cancelled` for the request with an id.
    pub(super) fn cancel(&self, request: &str) {
        let now = nanos();
        self.0.send_modify(|calls| {
            let open = calls.values_mut().filter(|fate| fate.request == request);
            for fate in open {
                fate.canceled.get_or_insert((now, "notification"));
            }
        });
    }

    /// Waits until a call has arrived.
    pub(super) async fn arrived(&self, name: &str) {
        // The sender lives as long as this.
        drop(self.0.subscribe().wait_for(|calls| calls.contains_key(name)).await);
    }

    /// Waits until a call is canceled; when that was, and how it was said. Forgets the call.
    pub(super) async fn canceled(&self, name: &str) -> (u64, &'static str) {
        let is_canceled =
            |calls: &BTreeMap<String, Fate>| calls.get(name).is_some_and(|fate| fate.canceled.is_some());
        drop(self.0.subscribe().wait_for(is_canceled).await);
        let mut found = None;
        self.0.send_modify(|calls| found = calls.remove(name).and_then(|fate| fate.canceled));
        found.unwrap_or((0, "nothing"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let now = nanos();
        self.held.0.send_modify(|calls| {
            if let Some(fate) = calls.get_mut(&self.name) {
                fate.canceled.get_or_insert((now, "connection"));
            }
        });
    }
}

/// A stream that begins and says nothing more.
#[derive(Debug)]
pub(super) struct Silence {
    begun: bool,
    _guard: Guard,
}

impl Silence {
    pub(super) fn new(guard: Guard) -> Self {
        Self { begun: false, _guard: guard }
    }
}

impl Body for Silence {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.begun {
            return Poll::Pending;
        }
        self.begun = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": working on it\n\n")))))
    }
}

/// Nanoseconds on a clock that all processes of a machine share.
#[expect(clippy::cast_sign_loss, reason = "this clock begins at 0")]
pub(crate) fn nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Microseconds from one instant of that clock to a later one; none to an earlier one.
pub(crate) fn micros_between(from: u64, to: u64) -> f64 {
    Duration::from_nanos(to.saturating_sub(from)).as_secs_f64() * 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_is_canceled_by_the_first_to_say_so() {
        let held = Arc::new(Held::default());
        let (first, second) = (held.hold("first", "1"), held.hold("second", "2"));
        held.arrived("second").await;
        held.cancel("2");
        drop(second);
        drop(first);
        assert_eq!(held.canceled("second").await.1, "notification");
        let (at, how) = held.canceled("first").await;
        assert!(how == "connection" && at <= nanos());
    }
}
