//! Rounds over many upstreams: concurrent, bounded, coalesced, each result stored as soon as it is there.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::{self, StreamExt};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toolplane_registry::upstream::{SchemaPolicy, Upstream};
use toolplane_registry::{Domain, RawJson};

use super::{Lister, failed, succeeded};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::snapshots::{self, Rules};
use crate::store::{self, AuditEntry, Change, Commit, Head, Listing, Millis, Registered, Store};

/// What a round found, per upstream asked.
pub type Outcome = BTreeMap<Domain, Answer>;

/// What came of asking one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Its tools were listed.
    Listed,
    /// It could not be listed, for this reason; it keeps its tools.
    Failed(String),
    /// It was not asked: a rollback froze it at this version.
    Frozen(u64),
    /// It was not asked: how to reach it is not known, and what it lists could not be compared with what is stored.
    Unreadable,
}

type Running = Shared<BoxFuture<'static, Arc<Result<Outcome, String>>>>;

/// Refreshes upstreams. Cheap to clone; clones share the running round.
#[derive(Debug, Clone)]
pub struct Rounds {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    snapshots: snapshots::Handle,
    lister: Lister,
    rules: Rules,
    clock: Clock,
    concurrency: usize,
    tasks: TaskTracker,
    stopping: CancellationToken,
    metrics: Metrics,
    /// The round over all upstreams that is running, so that concurrent requests share it.
    running: Mutex<Option<Running>>,
}

/// What [`Rounds`] works with.
#[derive(Debug)]
pub struct Parts {
    /// Where listings are kept.
    pub store: Arc<dyn Store>,
    /// Which upstreams there are.
    pub snapshots: snapshots::Handle,
    /// Asks one upstream.
    pub lister: Lister,
    /// The environment's overlay.
    pub rules: Rules,
    /// The time of day.
    pub clock: Clock,
    /// How many upstreams are asked at once.
    pub concurrency: usize,
    /// Owns the rounds' tasks.
    pub tasks: TaskTracker,
    /// Ends listings that an upstream has not answered yet.
    pub stopping: CancellationToken,
    /// What is measured.
    pub metrics: Metrics,
}

impl Answer {
    /// Why the tools are those from before, where they are.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Listed => None,
            Self::Failed(reason) => Some(reason.clone()),
            Self::Unreadable => Some("its row cannot be read; register it again or remove it".to_owned()),
            Self::Frozen(number) => {
                Some(format!("it is frozen at v{number}; resume it to refresh its tools"))
            }
        }
    }
}

impl Rounds {
    /// Ready to refresh; nothing runs yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, snapshots, lister, rules, clock, concurrency, tasks, stopping, metrics } = parts;
        let running = Mutex::new(None);
        let inner =
            Inner { store, snapshots, lister, rules, clock, concurrency, tasks, stopping, metrics, running };
        Self { inner: Arc::new(inner) }
    }

    /// Refreshes every upstream. Whoever asks while a round runs gets that round's outcome.
    ///
    /// # Errors
    ///
    /// The store's words where it could not be written; what was stored before that stays.
    pub async fn all(&self, actor: &str) -> Result<Outcome, String> {
        let round = {
            let mut running = self.inner.running.lock().unwrap_or_else(PoisonError::into_inner);
            match running.as_ref().filter(|round| round.peek().is_none()) {
                Some(round) => round.clone(),
                None => running.insert(self.start(actor.to_owned())).clone(),
            }
        };
        round.await.as_ref().clone()
    }

    /// The round goes on when nobody waits for it any more: its results are wanted all the same.
    fn start(&self, actor: String) -> Running {
        let (done, outcome) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            let upstreams = inner.snapshots.current().registry.upstreams.values().cloned().collect();
            // Nobody may be waiting any more.
            drop(done.send(Arc::new(inner.round(upstreams, &actor).await)));
        });
        outcome
            .map(|result| result.unwrap_or_else(|_| Arc::new(Err("the round was aborted".into()))))
            .boxed()
            .shared()
    }

    /// Refreshes the upstreams given, as they are known now.
    pub async fn some(&self, upstreams: Vec<Registered>, actor: &str) -> Result<Outcome, String> {
        self.inner.round(upstreams, actor).await
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.inner.store.as_ref()
    }

    pub(super) fn snapshots(&self) -> &snapshots::Handle {
        &self.inner.snapshots
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(super) fn now(&self) -> Millis {
        self.inner.clock.now()
    }

    /// Refreshes one upstream and stores what changed.
    pub(super) async fn one(&self, held: &Registered, actor: &str) -> Result<Answer, store::Error> {
        self.inner.one(held, actor).await
    }
}

impl Inner {
    #[tracing::instrument(name = "gateway.populate_all", skip_all, fields(upstreams = upstreams.len()))]
    async fn round(&self, upstreams: Vec<Registered>, actor: &str) -> Result<Outcome, String> {
        self.metrics.round(false);
        let results: Vec<(Domain, Result<Answer, store::Error>)> = stream::iter(upstreams)
            .map(|held| async move {
                let outcome = self.one(&held, actor).await;
                (held.upstream.domain, outcome)
            })
            .buffer_unordered(self.concurrency)
            .collect()
            .await;
        let mut outcome = Outcome::new();
        for (domain, result) in results {
            outcome.insert(domain, result.map_err(|error| error.to_string())?);
        }
        Ok(outcome)
    }

    /// Lists one upstream and stores what changed.
    async fn one(&self, held: &Registered, actor: &str) -> Result<Answer, store::Error> {
        if self.snapshots.current().registry.unreadable.contains_key(&held.upstream.domain) {
            return Ok(Answer::Unreadable);
        }
        if let Some(number) = held.frozen_at {
            return Ok(Answer::Frozen(number));
        }
        let upstream = self.rules.environment.overlay(&held.upstream);
        let domain = &upstream.domain;
        let (began, listing) = (Instant::now(), Box::pin(self.lister.list(&upstream)));
        let Some(listed) = self.stopping.run_until_cancelled(listing).await else {
            return Ok(Answer::Failed("the control plane is stopping".to_owned()));
        };
        self.metrics.refresh(domain, listed.is_ok(), began.elapsed());
        let at = self.clock.now();
        let before = held.listing.as_ref();
        let (listing, error) = match listed {
            Ok(listed) => {
                let listing = succeeded(&upstream, before, listed, at);
                warn_of_pin(&upstream, before, &listing);
                (listing, None)
            }
            Err(error) => {
                tracing::warn!(upstream.domain = %domain, %error, "cannot list the tools of `{domain}`");
                (failed(before, error.to_string(), at), Some(error.to_string()))
            }
        };
        if !snapshots::differs(before, &listing) {
            self.store.record_attempt(domain, &held.config_id, at, error.as_deref().unwrap_or("")).await?;
            return Ok(error.map_or(Answer::Listed, Answer::Failed));
        }
        let detail = describe(before, &listing);
        let change =
            Change::PutListing { domain: domain.clone(), config_id: held.config_id.clone(), listing };
        let audit = AuditEntry {
            actor: actor.to_owned(),
            action: "upstream.refresh",
            subject: format!("upstream {domain}"),
            detail,
            at,
        };
        match self.store.commit(&Commit { changes: vec![change], audit: vec![audit], at }).await {
            Ok(version) => self.wait_published(&version).await,
            // Somebody replaced or removed the upstream meanwhile: what was listed is of no use.
            Err(store::Error::Conflict { .. } | store::Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(error.map_or(Answer::Listed, Answer::Failed))
    }

    async fn wait_published(&self, head: &Head) {
        const PUBLISH_DEADLINE: Duration = Duration::from_secs(5);
        if let Err(error) = self.snapshots.reach(head, PUBLISH_DEADLINE).await {
            tracing::warn!(%error, "a refreshed listing is stored but not published yet");
        }
    }
}

/// Says so, once per change, when a pinned upstream lists something else than was approved.
fn warn_of_pin(upstream: &Upstream, before: Option<&Listing>, now: &Listing) {
    let Upstream { domain, schema_policy, .. } = upstream;
    if *schema_policy == SchemaPolicy::Accept || before.is_some_and(|before| before.tools == now.tools) {
        return;
    }
    let (_, held_back) = snapshots::served(domain, *schema_policy, now);
    if !held_back.is_empty() {
        tracing::warn!(
            upstream.domain = %domain,
            tools = held_back.len(),
            "Schema integrity violation: `{domain}` is pinned and lists changed or new tools; \
             accept the new digest to serve them"
        );
    }
}

fn describe(before: Option<&Listing>, after: &Listing) -> String {
    let old = before.map_or(&[][..], |before| &before.tools);
    let (old, new): (HashSet<&str>, HashSet<&str>) =
        (old.iter().map(RawJson::as_str).collect(), after.tools.iter().map(RawJson::as_str).collect());
    let (added, removed) = (new.difference(&old).count(), old.difference(&new).count());
    let mut text =
        format!("{} tools listed; {added} new or changed, {removed} gone or changed", after.tools.len());
    if before.is_none_or(|before| before.protocol != after.protocol) {
        text = format!("{text}; speaks {}", after.protocol);
    }
    text
}
