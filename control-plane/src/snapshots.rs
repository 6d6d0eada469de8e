//! From what the store holds to what nodes are sent.
//!
//! Owns the newest [`Published`] state and keeps it equal to the store: it reloads after commits of this process
//! at once, is told of others' by the database, and polls as a safety net. Building is pure ([`build`]). Never
//! writes to the store.

mod baseline;
mod build;
mod pin;
mod reach;
mod restore;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle as Runtime, RuntimeFlavor};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toolplane_registry::{ErrorCode, Rejection, Version};

use baseline::Stored;
pub(crate) use build::differs;
pub use build::{Admitted, Published, Rules, build};
pub use pin::served;
pub use reach::Reach;
pub(crate) use reach::lost;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::standing::Standing;
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
    /// A node claims a version that the store does not know, shortly after another claim was believed.
    #[error(
        "this store never came to {0}, and a claim that it was restored was believed less than an hour ago"
    )]
    Implausible(Version),
}

impl Error {
    /// Whether the database could not be read. Everything else was read: what is wrong with it would be wrong with
    /// what any other control plane reads, so sending nodes there mends nothing.
    fn is_absence(&self) -> bool {
        matches!(self, Self::Store(error) if error.code() == ErrorCode::Unavailable)
    }
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
    /// How long the database may be away before those who follow are told.
    grace: Duration,
    reached: watch::Sender<bool>,
    metrics: Metrics,
    standing: Option<Standing>,
}

/// Reads the newest state; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    store: Arc<dyn Store>,
    published: watch::Receiver<Arc<Published>>,
    wake: Arc<Notify>,
    reach: Reach,
    /// When a node was last believed that the store had lost versions.
    believed: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

// ---- Snapshots ----

impl Snapshots {
    /// Loads and builds the first state.
    pub async fn start(
        store: Arc<dyn Store>,
        rules: Rules,
        (poll_interval, grace): (Duration, Duration),
        clock: Clock,
        metrics: Metrics,
    ) -> Result<(Self, Handle), Error> {
        let began = Instant::now();
        let stored = Stored::read(store.as_ref(), None).await?;
        let first = stored.build(&rules, None).map_err(Error::Inconsistent)?;
        metrics.published(first.registry.head.number, began.elapsed());
        let (published, receiver) = watch::channel(Arc::new(first));
        let wake = Arc::new(Notify::new());
        let (reached, reach) = watch::channel(true);
        let handle = Handle {
            store: Arc::clone(&store),
            published: receiver,
            wake: Arc::clone(&wake),
            reach,
            believed: Arc::default(),
        };
        let rules = Arc::new(rules);
        let standing = None;
        let snapshots =
            Self { store, rules, poll_interval, clock, published, wake, grace, reached, metrics, standing };
        Ok((snapshots, handle))
    }

    /// Has tokens looked up before anything is published: who was shut out must not see what came after.
    #[must_use]
    pub fn after_a_look_at(self, standing: Standing) -> Self {
        Self { standing: Some(standing), ..self }
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
        let mut observer = reach::Observer::new(self.grace, &self.reached);
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                _ = tick.tick() => {}
            }
            let followed = self.follow().await;
            observer.note(followed.as_ref().is_err_and(Error::is_absence));
            match followed {
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
        let began = Instant::now();
        let stored = Stored::read(self.store.as_ref(), Some(&previous)).await?;
        // Admission reads what upstreams wrote: however long that takes, streams and requests go on.
        let (rules, before) = (Arc::clone(&self.rules), Arc::clone(&previous));
        let next = aside(move || stored.build(&rules, Some(&before))).await;
        let next = next.ok_or(Error::Aborted)?.map_err(Error::Inconsistent)?;
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
        self.metrics.published(*number, began.elapsed());
        if let Some(standing) = &self.standing {
            // After the registry was read: who lost a token before what is in there was committed has lost it by now.
            standing.look().await?;
        }
        self.published.send_replace(Arc::new(next));
        fail::fail_point!("control-plane.publish.after");
        Ok(())
    }
}

/// Does work that takes long beside the tasks of this thread; `None` where it panics. Where one thread does
/// everything, as in a simulation, it is done at once: when it is done must not depend on another thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match Runtime::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => std::panic::catch_unwind(AssertUnwindSafe(work)).ok(),
        _ => tokio::task::spawn_blocking(work).await.ok(),
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

    /// Whether the database can be read.
    pub fn reach_of_database(&self) -> Reach {
        self.reach.clone()
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
        fail::fail_point!("control-plane.notify.after");
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

#[cfg(test)]
mod tests {
    use toolplane_registry::Rule;

    use super::*;

    #[test]
    fn only_a_database_that_cannot_be_read_counts_as_away() {
        let away = store::Error::Late(Duration::from_secs(5));
        assert!(Error::Store(away).is_absence());
        let rejection = Rejection::new("policy", Rule::Consistency, "names a domain that is not there");
        for other in [
            Error::Inconsistent(vec![rejection]),
            Error::Aborted,
            Error::Late(3),
            Error::Store(store::Error::Violated("a policy that does not parse".to_owned())),
        ] {
            assert!(!other.is_absence(), "{other}");
        }
    }

    #[tokio::test]
    async fn a_bug_in_what_is_done_aside_costs_that_alone() {
        assert_eq!(aside(|| 7).await, Some(7));
        assert_eq!(aside(|| -> u8 { panic!("a bug") }).await, None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bug_on_another_thread_costs_that_alone() {
        assert_eq!(aside(|| -> u8 { panic!("a bug") }).await, None);
    }
}
