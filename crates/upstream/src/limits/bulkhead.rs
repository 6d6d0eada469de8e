//! How many calls of one upstream run and wait at once, so that a slow one cannot hold the whole node.
//!
//! Those that wait go in the order in which they came. How long they wait is for the caller to bound; one that is
//! dropped gives its place up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places to run and to wait.
#[derive(Debug)]
pub struct Bulkhead {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_running: usize,
    max_waiting: usize,
}

/// A place to run; dropping it gives it up.
#[derive(Debug)]
pub struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Every place is taken, to run and to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A place to wait.
struct Waiting<'a>(&'a AtomicUsize);

impl Bulkhead {
    /// So many run, and so many wait.
    pub fn new(max_running: u32, max_waiting: u32) -> Self {
        let [max_running, max_waiting] = [max_running.max(1), max_waiting].map(|max| max as usize);
        let running = Arc::new(Semaphore::new(max_running));
        Self { running, waiting: AtomicUsize::new(0), max_running, max_waiting }
    }

    /// Whether it has as many places as that.
    pub fn is_of(&self, max_running: u32, max_waiting: u32) -> bool {
        self.max_running == max_running.max(1) as usize && self.max_waiting == max_waiting as usize
    }

    /// Takes a place to run, if need be after some waiting.
    pub async fn enter(&self) -> Result<Slot, Full> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(Slot { _permit: Some(permit) });
        }
        let _waiting = Waiting::begin(&self.waiting, self.max_waiting)?;
        // Nobody closes the semaphore; were it closed, nothing would be limited.
        Ok(Slot { _permit: Arc::clone(&self.running).acquire_owned().await.ok() })
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.max_running.saturating_sub(self.running.available_permits())
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize, max: usize) -> Result<Self, Full> {
        let taken = count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < max).then(|| count + 1));
        taken.map(|_| Self(count)).map_err(|_| Full)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn as_many_run_and_wait_as_there_are_places_and_in_order() {
        let bulkhead = Bulkhead::new(1, 2);
        let running = bulkhead.enter().await.unwrap();
        let (mut first, mut second) = (Box::pin(bulkhead.enter()), Box::pin(bulkhead.enter()));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        assert_eq!(bulkhead.enter().await.unwrap_err(), Full);
        assert_eq!((bulkhead.running(), bulkhead.waiting()), (1, 2));
        drop(running);
        assert!(second.as_mut().now_or_never().is_none(), "it was not first");
        let slot = first.await.unwrap();
        assert_eq!((bulkhead.running(), bulkhead.waiting()), (1, 1));
        drop(slot);
        drop(second.await.unwrap());
        assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn whoever_stops_waiting_gives_the_place_up() {
        let bulkhead = Bulkhead::new(1, 1);
        let running = bulkhead.enter().await.unwrap();
        let mut waiting = Box::pin(bulkhead.enter());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(waiting);
        assert_eq!(bulkhead.waiting(), 0);
        drop(running);
        assert!(bulkhead.enter().now_or_never().is_some());
    }

    #[tokio::test]
    async fn without_places_to_wait_nobody_does() {
        let bulkhead = Bulkhead::new(0, 0);
        let running = bulkhead.enter().await.unwrap();
        assert_eq!(bulkhead.enter().await.unwrap_err(), Full, "one place there always is");
        drop(running);
        assert!(bulkhead.is_of(1, 0) && !bulkhead.is_of(1, 1));
    }
}
