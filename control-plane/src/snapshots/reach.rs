//! Whether the database can be read, for those who speak for it.
//!
//! A short absence is nobody's concern: what was published last is still what nodes should serve. After a grace it
//! is, because another control plane may have committed meanwhile, and nodes that follow this one would not hear.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Whether the database can be read, or could a moment ago.
pub type Reach = watch::Receiver<bool>;

/// Judges by how reading went.
#[derive(Debug)]
pub(super) struct Observer<'a> {
    grace: Duration,
    last_read: Instant,
    reached: &'a watch::Sender<bool>,
}

impl<'a> Observer<'a> {
    /// Begins with a database that was just read.
    pub(super) fn new(grace: Duration, reached: &'a watch::Sender<bool>) -> Self {
        Self { grace, last_read: Instant::now(), reached }
    }

    /// Notes how reading it went.
    pub(super) fn note(&mut self, is_failure: bool) {
        if is_failure { self.failed() } else { self.read() }
    }

    fn read(&mut self) {
        self.last_read = Instant::now();
        if self.reached.send_if_modified(|reached| !std::mem::replace(reached, true)) {
            tracing::info!("the database answers again: nodes may follow");
        }
    }

    fn failed(&self) {
        let away = self.last_read.elapsed();
        if away >= self.grace && self.reached.send_if_modified(|reached| std::mem::replace(reached, false)) {
            tracing::error!(
                seconds = away.as_secs(),
                "the database could not be read for {} s: nodes are sent to other control planes",
                away.as_secs()
            );
        }
    }
}

/// Resolves when the database has been away for longer than the grace.
pub(crate) async fn lost(reach: &mut Reach) {
    if reach.wait_for(|reached| !reached).await.is_err() {
        // The process is stopping, which is somebody else's to say.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_short_absence_is_not_told_and_a_long_one_is_until_it_ends() {
        let (reached, reach) = watch::channel(true);
        let mut observer = Observer::new(GRACE, &reached);
        tokio::time::advance(GRACE / 2).await;
        observer.note(true);
        assert!(*reach.borrow());
        observer.note(false);
        tokio::time::advance(GRACE / 2).await;
        observer.note(true);
        assert!(*reach.borrow(), "the grace begins anew");
        tokio::time::advance(GRACE / 2).await;
        observer.note(true);
        assert!(!*reach.borrow());
        observer.note(false);
        assert!(*reach.borrow());
    }
}
