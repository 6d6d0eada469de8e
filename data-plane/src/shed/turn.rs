//! Whether an answer waits for the node or for whoever reads it, and since when.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Since when the reader has taken nothing of what is there for it.
    readers_since: Mutex<Option<Instant>>,
    became_readers: Notify,
}

impl Turn {
    /// There is something for the reader, who has just taken something before it or has yet to begin.
    pub(super) fn to_reader(&self) {
        let before = self.set(Some(Instant::now()));
        if before.is_none() {
            self.became_readers.notify_one();
        }
    }

    /// The reader has everything there is.
    pub(super) fn to_node(&self) {
        self.set(None);
    }

    /// Waits until the reader has taken nothing for that long.
    pub(crate) async fn stalled(&self, patience: Duration) {
        loop {
            match self.readers_since() {
                None => self.became_readers.notified().await,
                Some(since) if since.elapsed() >= patience => return,
                Some(since) => tokio::time::sleep_until(since + patience).await,
            }
        }
    }

    fn readers_since(&self) -> Option<Instant> {
        *self.readers_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, since: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut *self.readers_since.lock().unwrap_or_else(PoisonError::into_inner), since)
    }
}
