//! What the node serves right now.
//!
//! Owns the one place where a snapshot is swapped. A request loads once at entry and holds that version
//! throughout; loading takes no lock.

mod states;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;
use tokio::time::Instant;
use toolplane_registry::snapshot::Builder;
use toolplane_registry::view::kin::Kin;
use toolplane_registry::{Domain, Rejection, Snapshot, Version};
use toolplane_upstream::auth::ForwardGlobs;
use toolplane_upstream::connector::Secured;
use toolplane_upstream::limits::{Reading, State};

pub(crate) use self::states::Upstreams;
use self::states::{Pools, States};

/// How long upstreams that nobody has asked yet may keep a node from being settled.
const SETTLING: Duration = Duration::from_secs(15);

/// A snapshot with what requests need compiled from it.
#[derive(Debug)]
pub struct Served {
    snapshot: Snapshot,
    /// Only domains that narrow what of the caller's headers passes.
    forward: BTreeMap<Domain, ForwardGlobs>,
    /// One for every domain, from the moment on in which it is served.
    states: States,
    /// Of domains with TLS settings of their own, from the same moment on.
    pools: Pools,
    /// Which tools depend on each other for their names; found out when somebody first asks.
    kin: OnceLock<Kin>,
}

/// Holds what is served. Loading is one atomic read; swapping wakes those who wait for a version.
#[derive(Debug)]
pub struct Live {
    current: ArcSwap<Served>,
    upstreams: Upstreams,
    version: watch::Sender<Version>,
    /// Since when no control plane is connected; `None` while one is.
    lost: ArcSwapOption<Lost>,
    /// Once every upstream of some snapshot had been asked for its tools: never taken back, so that an upstream
    /// added later takes no node out of service.
    settled: AtomicBool,
    /// When the first snapshot came.
    first: OnceLock<Instant>,
}

/// The moment from which on what is served may be out of date.
#[derive(Debug)]
struct Lost {
    at: Instant,
    /// How old it was by then.
    age: Duration,
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
        if rejections.is_empty() {
            Ok(Self { snapshot, forward, states: States::new(), pools: Pools::new(), kin: OnceLock::new() })
        } else {
            Err(rejections)
        }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What is known of a domain's upstream.
    pub(crate) fn state(&self, domain: &Domain) -> Option<&State> {
        self.states.get(domain).map(AsRef::as_ref)
    }

    /// The pool of a domain with TLS settings of its own.
    pub(crate) fn pool(&self, domain: &Domain) -> Option<&Secured> {
        self.pools.get(domain)
    }

    /// Which tools depend on each other for their names. Costs a pass over the registry when it is first asked for.
    pub(crate) fn kin(&self) -> &Kin {
        self.kin.get_or_init(|| Kin::of(self.snapshot.all()))
    }

    /// What is counted of each upstream, by domain.
    pub fn readings(&self) -> impl Iterator<Item = (&Domain, Reading)> {
        self.states.iter().map(|(domain, state)| (domain, state.read()))
    }

    /// What of the caller's headers may pass to a domain; absent passes all that may pass at all.
    pub(crate) fn forward(&self, domain: &Domain) -> Option<&ForwardGlobs> {
        self.forward.get(domain)
    }
}

// ---- Live ----

impl Live {
    #[expect(clippy::expect_used, reason = "nothing contradicts itself in an empty snapshot")]
    pub(crate) fn new(upstreams: Upstreams) -> Self {
        let nothing = Builder::new(Version::none()).build().expect("an empty snapshot is consistent");
        let (states, pools) = (States::new(), Pools::new());
        let (forward, kin) = (BTreeMap::new(), OnceLock::new());
        let served = Served { snapshot: nothing, forward, states, pools, kin };
        Self {
            current: ArcSwap::from_pointee(served),
            upstreams,
            version: watch::Sender::new(Version::none()),
            lost: ArcSwapOption::from_pointee(Lost { at: Instant::now(), age: Duration::ZERO }),
            settled: AtomicBool::new(false),
            first: OnceLock::new(),
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

    /// For how long what is served may have been out of date, because no control plane is connected; `None` where
    /// one is or nothing is served.
    pub fn stale_for(&self) -> Option<Duration> {
        let lost = self.lost.load();
        lost.as_ref().filter(|_| !self.version.borrow().is_none()).map(|lost| lost.age + lost.at.elapsed())
    }

    /// Whether a control plane is followed.
    pub fn is_connected(&self) -> bool {
        self.lost.load().is_none()
    }

    /// Serves what was kept on disk `age` ago; nothing newer is known of.
    pub(crate) fn resume(&self, served: Served, age: Duration) {
        self.lost.store(Some(Arc::new(Lost { at: Instant::now(), age })));
        self.swap(served);
    }

    /// Whether this node has served a snapshot without an upstream that nobody had asked for its tools yet, or has
    /// waited long enough for one: upstreams that do not answer must not hold back those that do.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed) || self.first.get().is_some_and(|at| at.elapsed() >= SETTLING)
    }

    /// Serves something else. One task does this; two at a time could lose what is known of an upstream.
    pub(crate) fn swap(&self, served: Served) {
        let states = self.upstreams.next(&self.load().states, &served.snapshot);
        let pools = self.upstreams.pools(&served.snapshot, &states);
        let served = Served { states, pools, ..served };
        let version = served.snapshot.version().clone();
        self.first.get_or_init(Instant::now);
        if !served.snapshot.domains().values().any(|entry| entry.pending()) {
            self.settled.store(true, Ordering::Relaxed);
        }
        self.current.store(Arc::new(served));
        self.version.send_replace(version);
    }

    pub(crate) fn set_connected(&self, connected: bool) {
        if connected {
            self.lost.store(None);
        } else if self.lost.load().is_none() {
            self.lost.store(Some(Arc::new(Lost { at: Instant::now(), age: Duration::ZERO })));
        }
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
        let live = Arc::new(Live::new(Upstreams::default()));
        let (wanted, patience) = (Version::new("s", 2), Duration::from_secs(1));
        assert!(live.wait_for(&Version::none(), patience).await);
        live.swap(at("s", 1));
        assert!(!live.wait_for(&wanted, patience).await);
        live.swap(at("other", 9));
        assert!(!live.wait_for(&wanted, patience).await, "another store's number proves nothing");
        let (reached, ()) = tokio::join!(live.wait_for(&wanted, patience), async { live.swap(at("s", 3)) });
        assert!(reached);
    }

    #[tokio::test(start_paused = true)]
    async fn staleness_counts_from_the_disk_and_from_the_loss_and_ends_with_a_connection() {
        let second = Duration::from_secs(1);
        let live = Live::new(Upstreams::default());
        assert_eq!(live.stale_for(), None, "nothing is served");
        live.resume(at("s", 1), 60 * second);
        tokio::time::advance(5 * second).await;
        live.set_connected(false);
        assert_eq!(live.stale_for(), Some(65 * second), "another failed attempt changes nothing");
        live.set_connected(true);
        assert_eq!(live.stale_for(), None);
        live.set_connected(false);
        tokio::time::advance(3 * second).await;
        assert_eq!(live.stale_for(), Some(3 * second));
    }

    #[test]
    fn an_upstream_added_later_does_not_unsettle_a_node() {
        let asked = |pending| {
            let entry = a_domain("a", vec![a_tool("x")]).with_pending(pending);
            Served::new(Builder::new(Version::new("s", 1)).domain(entry).build().unwrap()).unwrap()
        };
        let live = Live::new(Upstreams::default());
        live.swap(asked(true));
        assert!(!live.is_settled());
        live.swap(asked(false));
        live.swap(asked(true));
        assert!(live.is_settled());
    }

    #[tokio::test(start_paused = true)]
    async fn upstreams_that_do_not_answer_unsettle_a_node_for_a_while_only() {
        let pending = |number| {
            let entry = a_domain("a", vec![]).with_pending(true);
            Served::new(Builder::new(Version::new("s", number)).domain(entry).build().unwrap()).unwrap()
        };
        let live = Live::new(Upstreams::default());
        tokio::time::advance(2 * SETTLING).await;
        assert!(!live.is_settled(), "only a snapshot starts the wait");
        live.swap(pending(1));
        tokio::time::advance(SETTLING.saturating_sub(Duration::from_millis(1))).await;
        live.swap(pending(2));
        assert!(!live.is_settled());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(live.is_settled());
    }

    #[test]
    fn a_loaded_snapshot_outlives_the_swap() {
        let live = Live::new(Upstreams::default());
        let before = live.load();
        live.swap(at("s", 1));
        assert!(before.snapshot().version().is_none());
        assert_eq!(live.load().snapshot().version().number(), 1);
    }
}
