//! Rounds over many upstreams: concurrent, bounded, coalesced, each result stored as soon as it is there.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::{self, StreamExt};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toolplane_registry::upstream::{SchemaPolicy, Upstream};
use toolplane_registry::{Domain, RawJson};

use super::{Lister, failed, succeeded};
use crate::clock::Clock;
use crate::snapshots::{self, Rules};
use crate::store::{self, AuditEntry, Change, Commit, Head, Listing, Millis, Registered, Store};

/// What a round found, per upstream asked: why it could not be listed, where it could not.
pub type Outcome = BTreeMap<Domain, Option<String>>;

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
}

impl Rounds {
    /// Ready to refresh; nothing runs yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, snapshots, lister, rules, clock, concurrency, tasks, stopping } = parts;
        let running = Mutex::new(None);
        let inner = Inner { store, snapshots, lister, rules, clock, concurrency, tasks, stopping, running };
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

    pub(super) fn now(&self) -> Millis {
        self.inner.clock.now()
    }

    /// Refreshes one upstream and stores what changed; `Some` says why it could not be listed.
    pub(super) async fn one(&self, held: &Registered, actor: &str) -> Result<Option<String>, store::Error> {
        self.inner.one(held, actor).await
    }
}

impl Inner {
    #[tracing::instrument(name = "gateway.populate_all", skip_all, fields(upstreams = upstreams.len()))]
    async fn round(&self, upstreams: Vec<Registered>, actor: &str) -> Result<Outcome, String> {
        let results: Vec<(Domain, Result<Option<String>, store::Error>)> = stream::iter(upstreams)
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

    /// Lists one upstream and stores what changed; `Some` says why it could not be listed.
    async fn one(&self, held: &Registered, actor: &str) -> Result<Option<String>, store::Error> {
        if let Some(number) = held.frozen_at {
            return Ok(Some(format!("it is frozen at v{number}; resume it to refresh its tools")));
        }
        let upstream = self.rules.environment.overlay(&held.upstream);
        let domain = &upstream.domain;
        let listing = Box::pin(self.lister.list(&upstream));
        let Some(listed) = self.stopping.run_until_cancelled(listing).await else {
            return Ok(Some("the control plane is stopping".to_owned()));
        };
        let at = self.clock.now();
        let before = held.listing.as_ref();
        let (listing, error) = match listed {
            Ok(tools) => {
                let listing = succeeded(&upstream, before, tools, at);
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
            return Ok(error);
        }
        let detail = describe(before.map_or(&[], |before| &before.tools), &listing.tools);
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
        Ok(error)
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

fn describe(before: &[RawJson], after: &[RawJson]) -> String {
    let (old, new): (HashSet<&str>, HashSet<&str>) =
        (before.iter().map(RawJson::as_str).collect(), after.iter().map(RawJson::as_str).collect());
    let (added, removed) = (new.difference(&old).count(), old.difference(&new).count());
    format!("{} tools listed; {added} new or changed, {removed} gone or changed", after.len())
}
