//! Versions as history: what each held, how two differ, and what became of them.
//!
//! Commits write the content of their version themselves ([`crate::store::history`], ADR 19). This module notes
//! what a publication shows, forgets old versions ([`Recorder`]), and reads content the way nodes would be served it
//! ([`Snapshot`], [`diff`]). Bringing a version back is a change like any other: [`crate::registrar`].

pub mod diff;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use toolplane_registry::policy::AccessPolicy;
use toolplane_registry::upstream::Upstream;
use toolplane_registry::{Digest, Domain, Protocol, Rejection};

use crate::snapshots::{self, Published, Rules};
use crate::store::history::{Past, PastDomain, Publication};
use crate::store::{self, Head, Listing, Policy, Registered, Registry, Store};

/// What a version offered: per domain, the content digest of every tool that reaches nodes, by original name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The explicit access policy.
    pub policy: Option<AccessPolicy>,
    /// The tools.
    pub domains: BTreeMap<Domain, BTreeMap<String, Digest>>,
}

/// Notes every publication, and keeps the newest versions alone.
#[derive(Debug)]
pub struct Recorder {
    /// Where.
    pub store: Arc<dyn Store>,
    /// How many versions are kept.
    pub keep: u32,
}

// ---- Snapshot ----

impl Snapshot {
    /// Admits what is kept of a version, by the rules in force now.
    ///
    /// # Errors
    ///
    /// Rejections, where the rules in force now do not fit that content.
    pub fn rebuild(past: Past, head: Head, rules: &Rules) -> Result<Self, Vec<Rejection>> {
        let policy = past.policy.clone();
        let published = snapshots::build(registry(past, head), rules, None)?;
        let domains = published
            .snapshot
            .domains()
            .iter()
            .map(|(domain, entry)| {
                let tools = entry.tools().iter();
                let tools = tools.map(|tool| (tool.original_name.to_string(), tool.content_digest()));
                (domain.clone(), tools.collect())
            })
            .collect();
        Ok(Self { policy, domains })
    }
}

/// The registry of a past version. How upstreams are reached is not kept, and does not matter here.
fn registry(past: Past, head: Head) -> Registry {
    let Past { policy, domains } = past;
    let upstreams = domains
        .into_iter()
        .map(|(domain, PastDomain { tools, approved, filter, schema_policy, owner })| {
            let upstream =
                Upstream { filter, schema_policy, owner, ..Upstream::new(domain.clone(), String::new()) };
            let listing = tools.map(|tools| Listing {
                attempt_at: 0,
                success_at: Some(0),
                error: String::new(),
                tools,
                approved,
                protocol: Protocol::Unknown,
            });
            let registered = Registered {
                upstream,
                config_id: String::new(),
                created_at: 0,
                updated_at: 0,
                frozen_at: None,
                listing,
            };
            (domain, registered)
        })
        .collect();
    let policy = policy.map(|access| Policy { access, etag: String::new() });
    Registry {
        head,
        committed_at: None,
        upstreams,
        policy,
        environment: String::new(),
        rollout: None,
        unreadable: BTreeMap::new(),
        request_keys: Vec::new(),
    }
}

// ---- Recorder ----

impl Recorder {
    /// Follows what is published until the token is cancelled.
    pub async fn run(self, mut published: watch::Receiver<Arc<Published>>, shutdown: CancellationToken) {
        loop {
            let newest = Arc::clone(&published.borrow_and_update());
            if let Err(error) = self.note(&newest).await {
                // What is missing is a digest in a list, and old versions are forgotten the next time.
                tracing::warn!(%error, "cannot note that version {} was published", newest.registry.head.number);
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = published.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn note(&self, published: &Published) -> Result<(), store::Error> {
        let Published { registry, snapshot, admitted: _, baseline: _ } = published;
        let publication = Publication {
            digest: snapshot.digest(),
            domains: snapshot.domains().len(),
            tools: snapshot.tool_count(),
        };
        self.store.note_published(&registry.head, publication).await?;
        self.store.prune_versions(self.keep).await
    }
}
