//! From what the store holds to what nodes are sent.
//!
//! Owns the newest [`Published`] state and keeps it equal to the store: it reloads after commits of this process
//! at once, is told of others' by the database, and polls as a safety net. Building is pure ([`build`]). Never
//! writes to the store.

mod build;
mod pin;
mod restore;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use toolplane_registry::Rejection;

pub(crate) use build::differs;
pub use build::{Admitted, Published, Rules, build};
pub use pin::served;

use crate::clock::Clock;
use crate::store::{self, Head, Store};

/// Why the newest state could not be published.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What is stored contradicts itself; nothing was published.
    #[error("the registry contradicts itself: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Inconsistent(Vec<Rejection>),
    /// Building it was broken off: the process is stopping, or a bug panicked.
    #[error("the registry could not be built")]
    Aborted,
    /// The version did not show up in time.
    #[error("version {0} was committed but is not published yet")]
    Late(u64),
}

/// Keeps the newest state; its [`Handle`] reads it.
#[derive(Debug)]
pub struct Snapshots {
    store: Arc<dyn Store>,
    rules: Arc<Rules>,
    poll_interval: Duration,
    clock: Clock,
    published: watch::Sender<Arc<Published>>,
    wake: Arc<Notify>,
}

/// Reads the newest state; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    store: Arc<dyn Store>,
    published: watch::Receiver<Arc<Published>>,
    wake: Arc<Notify>,
}

// ---- Snapshots ----

impl Snapshots {
    /// Loads and builds the first state.
    pub async fn start(
        store: Arc<dyn Store>,
        rules: Rules,
        poll_interval: Duration,
        clock: Clock,
    ) -> Result<(Self, Handle), Error> {
        let registry = store.load().await?;
        let first = build(registry, &rules, None).map_err(Error::Inconsistent)?;
        let (published, receiver) = watch::channel(Arc::new(first));
        let wake = Arc::new(Notify::new());
        let handle = Handle { store: Arc::clone(&store), published: receiver, wake: Arc::clone(&wake) };
        Ok((Self { store, rules: Arc::new(rules), poll_interval, clock, published, wake }, handle))
    }

    /// Follows the store until the token is cancelled.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.listen() => {}
            () = self.follow_all() => {}
        }
    }

    /// Hears of commits, for as long as it is polled.
    async fn listen(&self) {
        let mut wakeups = self.store.wakeups();
        loop {
            wakeups.next().await;
            self.wake.notify_one();
        }
    }

    async fn follow_all(&self) {
        let mut tick = tokio::time::interval(self.poll_interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                _ = tick.tick() => {}
            }
            match self.follow().await {
                Ok(()) if failing => {
                    failing = false;
                    tracing::info!("the database answers again");
                }
                Ok(()) => {}
                // Said once: the state published last is served until the database is back.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "cannot follow the database: nodes keep what they have");
                }
                Err(error) => tracing::debug!(%error, "still cannot follow the database"),
            }
        }
    }

    async fn follow(&self) -> Result<(), Error> {
        let previous = Arc::clone(&self.published.borrow());
        let head = self.store.head().await?;
        if head == previous.registry.head {
            return Ok(());
        }
        let Head { store_id, number } = &previous.registry.head;
        if head.store_id == *store_id && head.number < *number {
            let detail =
                format!("version {number} was published, the store has come to {} only", head.number);
            restore::renew(self.store.as_ref(), detail, self.clock.now()).await?;
        }
        let registry = self.store.load().await?;
        // Admission reads what upstreams wrote: however long that takes, streams and requests go on.
        let (rules, before) = (Arc::clone(&self.rules), Arc::clone(&previous));
        let next = tokio::task::spawn_blocking(move || build(registry, &rules, Some(&before)));
        let next = next.await.map_err(|_| Error::Aborted)?.map_err(Error::Inconsistent)?;
        let Head { store_id, number } = &next.registry.head;
        if *store_id != previous.registry.head.store_id {
            tracing::warn!(store.id = %store_id, "the database was replaced: every node is sent everything");
        }
        tracing::info!(
            snapshot.version = number,
            snapshot.digest = %next.snapshot.digest().short(12),
            domains = next.snapshot.domains().len(),
            tools = next.snapshot.tool_count(),
            "published version {number}"
        );
        self.published.send_replace(Arc::new(next));
        Ok(())
    }
}

// ---- Handle ----

impl Handle {
    /// The newest state.
    pub fn current(&self) -> Arc<Published> {
        Arc::clone(&self.published.borrow())
    }

    /// Follows the state: the receiver is woken by every newer one and skips those in between.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Published>> {
        self.published.clone()
    }

    /// The newest state there is, whoever committed it: what is to be decided or answered for good is decided on
    /// this, because [`Handle::current`] may be behind what another control plane has confirmed.
    pub async fn newest(&self, deadline: Duration) -> Result<Arc<Published>, Error> {
        let head = self.store.head().await?;
        self.reach(&head, deadline).await
    }

    /// Waits until the commit is published.
    pub async fn reach(&self, commit: &Head, deadline: Duration) -> Result<Arc<Published>, Error> {
        let mut receiver = self.published.clone();
        self.wake.notify_one();
        let reached = receiver.wait_for(|published| {
            let held = &published.registry.head;
            held.store_id == commit.store_id && held.number >= commit.number
        });
        match tokio::time::timeout(deadline, reached).await {
            Ok(Ok(published)) => Ok(Arc::clone(&published)),
            Ok(Err(_)) | Err(_) => Err(Error::Late(commit.number)),
        }
    }
}
