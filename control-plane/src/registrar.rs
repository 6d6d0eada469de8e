//! The one path on which the registry changes.
//!
//! Owns the steps of every change, in order: admission, asking the upstream, one commit, waiting until the
//! result is published. Admin services and the registration service both call it and only translate. Never
//! checks who may do what; its callers have.

mod error;
mod outcome;
mod pinning;
mod rollback;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use toolplane_registry::policy::{AccessPolicy, Effective};
use toolplane_registry::upstream::Upstream;
use toolplane_registry::{Domain, RawJson, Version};
use toolplane_upstream::guard;

pub use error::Error;
pub use outcome::{Changed, Refreshed};
pub use pinning::Accepted;
pub use rollback::RolledBack;

use self::turns::Turns;
use crate::admission;
use crate::clock::Clock;
use crate::ids::new_id;
use crate::refresh::{self, Lister, Rounds};
use crate::snapshots::{self, Published, Rules};
use crate::store::{Attempt, AuditEntry, Change, Commit, Listing, Millis, Policy, Registered, Store};

/// How long a commit may take to be published before its caller is told so.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(10);
/// How often a change is tried again when somebody else changed the same upstream meanwhile.
const ATTEMPTS: usize = 3;

/// Changes the registry. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registrar {
    parts: Arc<Parts>,
    turns: Turns,
}

/// What a [`Registrar`] works with.
#[derive(Debug)]
pub struct Parts {
    /// Where the registry is kept.
    pub store: Arc<dyn Store>,
    /// What is published.
    pub snapshots: snapshots::Handle,
    /// Asks one upstream.
    pub lister: Lister,
    /// Asks many.
    pub rounds: Rounds,
    /// What the environment lays over the registry.
    pub rules: Rules,
    /// Which addresses are acceptable.
    pub guard: guard::Policy,
    /// The time of day.
    pub clock: Clock,
}

/// How a change is to be made.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// Check everything, store nothing.
    pub validate_only: bool,
    /// Store an upstream even though it could not be listed.
    pub allow_unreachable: bool,
}

impl Registrar {
    /// Ready to change the registry.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), turns: Turns::default() }
    }

    /// What is published now.
    pub fn current(&self) -> Arc<Published> {
        self.parts.snapshots.current()
    }

    /// How the last try to list each upstream went.
    pub async fn attempts(&self) -> Result<BTreeMap<Domain, Attempt>, Error> {
        Ok(self.parts.store.attempts().await?)
    }

    /// Adds an upstream that must not exist.
    pub async fn create(&self, actor: &str, upstream: Upstream, how: How) -> Result<Changed, Error> {
        let _turn = self.turns.take(&upstream.domain).await;
        if self.newest().await?.registry.upstreams.contains_key(&upstream.domain) {
            return Err(Error::AlreadyExists(upstream.domain));
        }
        let listing = self.check_and_list(&upstream, None, how).await?;
        self.put(actor, "upstream.create", Draft { upstream, listing, replaces: None }, how).await
    }

    /// Replaces an upstream that must exist; `expected` is the etag the caller saw.
    pub async fn update(
        &self,
        actor: &str,
        upstream: Upstream,
        expected: Option<String>,
        how: How,
    ) -> Result<Changed, Error> {
        let _turn = self.turns.take(&upstream.domain).await;
        let held = self.held(&upstream.domain).await?;
        if let Some(expected) = expected.as_ref().filter(|expected| **expected != held.config_id) {
            return Err(Error::etag(&upstream.domain, &held.config_id, expected));
        }
        let listing = if same_listing(&held.upstream, &upstream) {
            admission::check(&upstream, &self.parts.guard).map_err(Error::Rejected)?;
            repin(&upstream, held.listing.clone())
        } else {
            let same_place = held.upstream.listing_url() == upstream.listing_url();
            let before = held.listing.as_ref().filter(|_| same_place);
            self.check_and_list(&upstream, before, how).await?
        };
        let draft = Draft { upstream, listing, replaces: Some(held) };
        self.put(actor, "upstream.update", draft, how).await
    }

    /// Creates or replaces an upstream: what the REST registration means. `merge` says what the upstream is to
    /// be, given what is held now.
    pub async fn register(
        &self,
        actor: &str,
        domain: &Domain,
        merge: impl Fn(Option<&Upstream>) -> Upstream,
    ) -> Result<Changed, Error> {
        let _turn = self.turns.take(domain).await;
        let mut attempt = 1;
        loop {
            let held = self.newest().await?.registry.upstreams.get(domain).cloned();
            let upstream = merge(held.as_ref().map(|held| &held.upstream));
            let result = self.register_once(actor, upstream, held).await;
            match result {
                // Another control plane was faster; what it made is the new ground.
                Err(Error::AlreadyExists(_) | Error::Conflict { .. } | Error::NotFound(_))
                    if attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn register_once(
        &self,
        actor: &str,
        upstream: Upstream,
        held: Option<Registered>,
    ) -> Result<Changed, Error> {
        let before = held.as_ref().and_then(|held| held.listing.as_ref());
        let listing = self.check_and_list(&upstream, before, How::default()).await?;
        if let Some(listing) = &listing {
            pinning::check_registration(&upstream, before, listing)?;
        }
        let draft = Draft { upstream, listing, replaces: held };
        self.put(actor, "upstream.register", draft, How::default()).await
    }

    /// Removes an upstream; `expected` is the etag the caller saw.
    pub async fn delete(
        &self,
        actor: &str,
        domain: &Domain,
        expected: Option<String>,
    ) -> Result<Changed, Error> {
        let _turn = self.turns.take(domain).await;
        let held = self.held(domain).await?;
        let change = Change::DeleteUpstream { domain: domain.clone(), expected };
        let (before, after) = self.commit(actor, "upstream.delete", domain, change).await?;
        Ok(Changed::between(held, &before, &after))
    }

    /// Lists upstreams again: those named, or all of them.
    pub async fn refresh(&self, actor: &str, domains: &[Domain]) -> Result<Refreshed, Error> {
        let before = self.newest().await?;
        let outcome = if domains.is_empty() {
            self.parts.rounds.all(actor).await
        } else {
            let held =
                domains.iter().map(|domain| held_in(&before, domain)).collect::<Result<Vec<_>, _>>()?;
            self.parts.rounds.some(held, actor).await
        };
        let outcome = outcome.map_err(Error::Refresh)?;
        Ok(Refreshed { before, after: self.current(), outcome })
    }

    /// Sets or removes the explicit access policy.
    pub async fn set_policy(
        &self,
        actor: &str,
        access: Option<AccessPolicy>,
        expected: Option<String>,
        how: How,
    ) -> Result<(Option<Policy>, Version), Error> {
        let current = self.current();
        if let Some(access) = &access {
            Effective::resolve(Some(access), &[]).map_err(Error::Rejected)?;
        }
        let policy = access.map(|access| Policy { access, etag: new_id() });
        if how.validate_only {
            return Ok((policy, current.version().clone()));
        }
        let change = Change::PutPolicy { policy: policy.clone(), expected };
        let at = self.parts.clock.now();
        let audit = audit(actor, "policy.set", "access policy".to_owned(), at);
        let after = self.publish(Commit { changes: vec![change], audit: vec![audit], at }).await?;
        Ok((policy, after.version().clone()))
    }

    /// An upstream as it is held now, whoever changed it last.
    pub async fn held(&self, domain: &Domain) -> Result<Registered, Error> {
        held_in(&*self.newest().await?, domain)
    }

    // ---- steps ----

    /// What a change is based on: another control plane may have committed since the last publication here.
    pub async fn newest(&self) -> Result<Arc<Published>, Error> {
        Ok(self.parts.snapshots.newest(PUBLISH_DEADLINE).await?)
    }

    /// Admission, then the upstream's own answer. `None` where it may be stored without one.
    async fn check_and_list(
        &self,
        upstream: &Upstream,
        before: Option<&Listing>,
        how: How,
    ) -> Result<Option<Listing>, Error> {
        admission::check(upstream, &self.parts.guard).map_err(Error::Rejected)?;
        let effective = self.parts.rules.environment.overlay(upstream);
        let listed = self.parts.lister.list(&effective).await;
        let at = self.parts.clock.now();
        match listed {
            Ok(tools) => Ok(Some(refresh::succeeded(upstream, before, tools, at))),
            // What was listed at another address says nothing about this one.
            Err(error) if how.allow_unreachable => Ok(Some(refresh::failed(before, error.to_string(), at))),
            Err(error) => Err(Error::upstream(upstream, error)),
        }
    }

    async fn put(&self, actor: &str, action: &'static str, draft: Draft, how: How) -> Result<Changed, Error> {
        let Draft { upstream, listing, replaces } = draft;
        let frozen_at = replaces.as_ref().and_then(|held| held.frozen_at);
        // What was listed showed that the upstream answers; a rollback decided which tools it offers.
        let listing = match &replaces {
            Some(held) if frozen_at.is_some() => held.listing.clone(),
            _ => listing,
        };
        let (at, config_id, domain) = (self.parts.clock.now(), new_id(), upstream.domain.clone());
        let registered = Registered {
            upstream: upstream.clone(),
            config_id: config_id.clone(),
            created_at: at,
            updated_at: at,
            frozen_at,
            listing: listing.clone(),
        };
        if how.validate_only {
            let current = self.current();
            return Ok(Changed::between(registered, &current, &current));
        }
        let change = match replaces {
            None => Change::CreateUpstream { upstream, config_id, listing },
            Some(held) => {
                Change::ReplaceUpstream { upstream, config_id, expected: Some(held.config_id), listing }
            }
        };
        let (before, after) = self.commit(actor, action, &domain, change).await?;
        // As stored, where it still is: the time of its first registration may be older.
        let stored = after.registry.upstreams.get(&domain).cloned().unwrap_or(registered);
        Ok(Changed::between(stored, &before, &after))
    }

    async fn commit(
        &self,
        actor: &str,
        action: &'static str,
        domain: &Domain,
        change: Change,
    ) -> Result<(Arc<Published>, Arc<Published>), Error> {
        let at = self.parts.clock.now();
        let audit = audit(actor, action, format!("upstream {domain}"), at);
        let before = self.current();
        let after = self.publish(Commit { changes: vec![change], audit: vec![audit], at }).await?;
        Ok((before, after))
    }

    async fn publish(&self, commit: Commit) -> Result<Arc<Published>, Error> {
        let head = self.parts.store.commit(&commit).await?;
        for AuditEntry { actor, action, subject, .. } in &commit.audit {
            tracing::info!(snapshot.version = head.number, actor, action, subject, "{action}: {subject}");
        }
        Ok(self.parts.snapshots.reach(&head, PUBLISH_DEADLINE).await?)
    }
}

fn held_in(published: &Published, domain: &Domain) -> Result<Registered, Error> {
    let held = published.registry.upstreams.get(domain).cloned();
    held.ok_or_else(|| Error::NotFound(domain.clone()))
}

/// What is to be stored.
struct Draft {
    upstream: Upstream,
    listing: Option<Listing>,
    /// What it replaces; absent: there is nothing yet.
    replaces: Option<Registered>,
}

fn audit(actor: &str, action: &'static str, subject: String, at: Millis) -> AuditEntry {
    AuditEntry { actor: actor.to_owned(), action, subject, detail: String::new(), at }
}

/// Whether both would be listed alike, so that what is known of the one holds for the other.
fn same_listing(a: &Upstream, b: &Upstream) -> bool {
    a.listing_url() == b.listing_url() && a.headers == b.headers
}

/// A listing under a schema policy that may have changed: a new pin approves what is served now.
fn repin(upstream: &Upstream, listing: Option<Listing>) -> Option<Listing> {
    listing.map(|listing| {
        let (tools, at): (Vec<RawJson>, _) = (listing.tools.clone(), listing.attempt_at);
        if listing.success_at.is_none() {
            return listing;
        }
        let error = listing.error.clone();
        Listing { error, ..refresh::succeeded(upstream, Some(&listing), tools, at) }
    })
}
