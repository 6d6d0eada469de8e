//! What the node serves right now.
//!
//! Owns the one place where a snapshot is swapped. A request loads once at entry and holds that version
//! throughout; loading takes no lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use toolplane_registry::snapshot::Builder;
use toolplane_registry::{Domain, Rejection, Snapshot, Version};
use toolplane_upstream::auth::ForwardGlobs;

/// A snapshot with what requests need compiled from it.
#[derive(Debug)]
pub struct Served {
    snapshot: Snapshot,
    /// Only domains that narrow what of the caller's headers passes.
    forward: BTreeMap<Domain, ForwardGlobs>,
}

/// Holds what is served. Loading is one atomic read; swapping wakes those who wait for a version.
#[derive(Debug)]
pub struct Live {
    current: ArcSwap<Served>,
    version: watch::Sender<Version>,
    connected: AtomicBool,
    /// Once every upstream of some snapshot had been asked for its tools: never taken back, so that an upstream
    /// added later takes no node out of service.
    settled: AtomicBool,
}

// ---- Served ----

impl Served {
    /// Compiles what the snapshot's settings ask for; settings that do not compile are reported together.
    pub fn new(snapshot: Snapshot) -> Result<Self, Vec<Rejection>> {
        let mut forward = BTreeMap::new();
        let mut rejections = Vec::new();
        for (domain, entry) in snapshot.domains() {
            let Some(globs) = &entry.endpoint().forward_headers else { continue };
            match ForwardGlobs::compile(globs) {
                Ok(globs) => {
                    forward.insert(domain.clone(), globs);
                }
                Err(rejection) => {
                    let subject = format!("{} of domain `{domain}`", rejection.subject);
                    rejections.push(Rejection { subject, ..rejection });
                }
            }
        }
        if rejections.is_empty() { Ok(Self { snapshot, forward }) } else { Err(rejections) }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What of the caller's headers may pass to a domain; absent passes all that may pass at all.
    pub(crate) fn forward(&self, domain: &Domain) -> Option<&ForwardGlobs> {
        self.forward.get(domain)
    }
}

// ---- Live ----

impl Live {
    #[expect(clippy::expect_used, reason = "nothing contradicts itself in an empty snapshot")]
    pub(crate) fn new() -> Self {
        let nothing = Builder::new(Version::none()).build().expect("an empty snapshot is consistent");
        let served = Served { snapshot: nothing, forward: BTreeMap::new() };
        Self {
            current: ArcSwap::from_pointee(served),
            version: watch::Sender::new(Version::none()),
            connected: AtomicBool::new(false),
            settled: AtomicBool::new(false),
        }
    }

    /// What is served now. Call it once per request.
    pub fn load(&self) -> Arc<Served> {
        self.current.load_full()
    }

    /// Waits until this node serves the version or a later one of its store; `false` when the time is up.
    pub async fn wait_for(&self, version: &Version, timeout: Duration) -> bool {
        let mut versions = self.version.subscribe();
        let reached = versions.wait_for(|served| served.covers(version));
        matches!(tokio::time::timeout(timeout, reached).await, Ok(Ok(_)))
    }

    /// Whether what is served may be out of date because no control plane is connected.
    pub fn is_stale(&self) -> bool {
        !self.connected.load(Ordering::Relaxed)
    }

    /// Whether this node has served a snapshot without an upstream that nobody had asked for its tools yet.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    pub(crate) fn swap(&self, served: Served) {
        let version = served.snapshot.version().clone();
        if !served.snapshot.domains().values().any(|entry| entry.pending()) {
            self.settled.store(true, Ordering::Relaxed);
        }
        self.current.store(Arc::new(served));
        self.version.send_replace(version);
    }

    pub(crate) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use toolplane_registry::test_util::{a_domain, a_tool};

    use super::*;

    fn at(store: &str, number: u64) -> Served {
        Served::new(Builder::new(Version::new(store, number)).build().unwrap()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_version_or_with_the_time() {
        let live = Arc::new(Live::new());
        let (wanted, patience) = (Version::new("s", 2), Duration::from_secs(1));
        assert!(live.wait_for(&Version::none(), patience).await);
        live.swap(at("s", 1));
        assert!(!live.wait_for(&wanted, patience).await);
        live.swap(at("other", 9));
        assert!(!live.wait_for(&wanted, patience).await, "another store's number proves nothing");
        let (reached, ()) = tokio::join!(live.wait_for(&wanted, patience), async { live.swap(at("s", 3)) });
        assert!(reached);
    }

    #[test]
    fn an_upstream_added_later_does_not_unsettle_a_node() {
        let asked = |pending| {
            let entry = a_domain("a", vec![a_tool("x")]).with_pending(pending);
            Served::new(Builder::new(Version::new("s", 1)).domain(entry).build().unwrap()).unwrap()
        };
        let live = Live::new();
        live.swap(asked(true));
        assert!(!live.is_settled());
        live.swap(asked(false));
        live.swap(asked(true));
        assert!(live.is_settled());
    }

    #[test]
    fn a_loaded_snapshot_outlives_the_swap() {
        let live = Live::new();
        let before = live.load();
        live.swap(at("s", 1));
        assert!(before.snapshot().version().is_none());
        assert_eq!(live.load().snapshot().version().number(), 1);
    }
}
