//! What every new form of an upstream goes through: admission, the upstream's own answer, one commit.

use toolplane_registry::upstream::Upstream;

use super::{Changed, Error, How, Registrar};
use crate::ids::new_id;
use crate::store::{Change, Listing, Registered};
use crate::{admission, refresh};

/// What is to be stored.
pub(super) struct Draft {
    pub(super) upstream: Upstream,
    pub(super) listing: Option<Listing>,
    /// What it replaces; absent: there is nothing yet.
    pub(super) replaces: Option<Registered>,
}

impl Registrar {
    /// What admission says of credentials that are not held already.
    pub(super) fn check_credentials(
        &self,
        upstream: &Upstream,
        held: Option<&Upstream>,
    ) -> Result<(), Error> {
        admission::check_credentials(upstream, held, self.parts.clock.now()).map_err(Error::Rejected)
    }

    /// Admission, then the upstream's own answer. `None` where it may be stored without one.
    pub(super) async fn check_and_list(
        &self,
        upstream: &Upstream,
        before: Option<&Listing>,
        how: How,
    ) -> Result<Option<Listing>, Error> {
        admission::check(upstream, &self.parts.guard).map_err(Error::Rejected)?;
        let effective = self.parts.rules.environment.overlay(upstream);
        // Rare, and large.
        let listed = Box::pin(self.parts.lister.list(&effective)).await;
        let at = self.parts.clock.now();
        match listed {
            Ok(listed) => Ok(Some(refresh::succeeded(upstream, before, listed, at))),
            // What was listed at another address says nothing about this one.
            Err(error) if how.allow_unreachable => Ok(Some(refresh::failed(before, error.to_string(), at))),
            Err(error) => Err(Error::upstream(upstream, error)),
        }
    }

    pub(super) async fn put(
        &self,
        actor: &str,
        action: &'static str,
        draft: Draft,
        how: How,
    ) -> Result<Changed, Error> {
        let Draft { upstream, listing, replaces } = draft;
        // Its row is there and cannot be read: this mends it. What it says of a freeze is not to be relied on, so the
        // upstream offers what it lists now and is frozen no longer.
        let mends = self.current().registry.unreadable.contains_key(&upstream.domain);
        let replaces = replaces.filter(|_| !mends);
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
        let changes = match replaces {
            None if mends => vec![
                Change::ReplaceUpstream { upstream, config_id, expected: None, listing },
                Change::ResumeUpstream { domain: domain.clone() },
            ],
            None => vec![Change::CreateUpstream { upstream, config_id, listing }],
            Some(held) => {
                let expected = Some(held.config_id);
                vec![Change::ReplaceUpstream { upstream, config_id, expected, listing }]
            }
        };
        let (before, after) = self.commit(actor, action, &domain, changes).await?;
        // As stored, where it still is: the time of its first registration may be older.
        let stored = after.registry.upstreams.get(&domain).cloned().unwrap_or(registered);
        Ok(Changed::between(stored, &before, &after))
    }
}
