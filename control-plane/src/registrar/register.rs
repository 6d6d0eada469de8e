//! Creating or replacing an upstream, as the REST registration does.

use toolplane_registry::Domain;
use toolplane_registry::upstream::Upstream;

use super::draft::Draft;
use super::{Changed, Error, How, Registrar, audit, pinning};
use crate::snapshots;
use crate::store::Registered;

/// What the audit calls it.
const ACTION: &str = "upstream.register";

/// How often a change is tried again when somebody else changed the same upstream meanwhile.
const ATTEMPTS: usize = 3;

impl Registrar {
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
        let known = held.as_ref().map(|held| &held.upstream);
        self.check_credentials(&upstream, known)?;
        // A row that cannot be read is written anew, however much it should say what is registered.
        let is_readable = !self.current().registry.unreadable.contains_key(&upstream.domain);
        if let (Some(held), Some(listing), true) = (&held, &listing, is_readable) {
            let is_the_same = held.upstream == upstream
                && (held.frozen_at.is_some() || !snapshots::differs(before, listing));
            if is_the_same {
                return self.confirm(actor, held.clone()).await;
            }
        }
        let draft = Draft { upstream, listing, replaces: held };
        self.put(actor, ACTION, draft, How::default()).await
    }

    /// A registration that changes nothing is on record and makes no version: controllers repeat themselves.
    async fn confirm(&self, actor: &str, held: Registered) -> Result<Changed, Error> {
        let domain = &held.upstream.domain;
        let mut audit = audit(actor, ACTION, format!("upstream {domain}"), self.parts.clock.now());
        audit.detail.push_str("nothing changed");
        self.parts.store.record_unchanged(domain, &held.config_id, &audit).await?;
        tracing::info!(actor, action = ACTION, upstream.domain = %domain, "{ACTION}: nothing changed");
        let current = self.current();
        Ok(Changed::between(held, &current, &current))
    }
}
