//! Accepting what a pinned upstream lists.

use toolplane_registry::upstream::{SchemaPolicy, Upstream};
use toolplane_registry::{Digest, Domain};

use super::{Changed, Error, Registrar};
use crate::refresh;
use crate::store::{Change, Listing};

/// What accepting a digest did.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The change of the upstream.
    pub changed: Changed,
    /// The digest now approved.
    pub digest: Digest,
    /// Whether it differs from the one before.
    pub digest_changed: bool,
}

/// A registration must not slip changed tools past a pin.
pub(super) fn check_registration(
    upstream: &Upstream,
    before: Option<&Listing>,
    now: &Listing,
) -> Result<(), Error> {
    let Some(before) = before.filter(|before| before.success_at.is_some()) else { return Ok(()) };
    if upstream.schema_policy == SchemaPolicy::Pin && approved_digest(before) != now.digest() {
        return Err(Error::SchemaRefused(upstream.domain.clone()));
    }
    Ok(())
}

impl Registrar {
    /// Lists an upstream again and approves what it lists, provided its digest is the one that was reviewed.
    pub async fn accept(&self, actor: &str, domain: &Domain, expected: Digest) -> Result<Accepted, Error> {
        let _turn = self.turns.take(domain).await;
        let held = self.held(domain).await?;
        if let Some(number) = held.frozen_at {
            return Err(Error::Frozen { domain: domain.clone(), number });
        }
        let effective = self.parts.rules.environment.overlay(&held.upstream);
        let listed = self.parts.lister.list(&effective).await;
        let listed = listed.map_err(|error| Error::upstream(&effective, error))?;
        let mut listing =
            refresh::succeeded(&held.upstream, held.listing.as_ref(), listed, self.parts.clock.now());
        let digest = listing.digest();
        if digest != expected {
            return Err(Error::DigestMismatch { domain: domain.clone(), expected, computed: digest });
        }
        if held.upstream.schema_policy == SchemaPolicy::Pin {
            listing.approved = Some(listing.tools.clone());
        }
        let digest_changed = held.listing.as_ref().is_none_or(|before| approved_digest(before) != digest);
        let config_id = held.config_id.clone();
        let change = Change::PutListing { domain: domain.clone(), config_id, listing };
        let (before, after) = self.commit(actor, "upstream.accept_schema", domain, vec![change]).await?;
        Ok(Accepted { changed: Changed::between(held, &before, &after), digest, digest_changed })
    }
}

fn approved_digest(listing: &Listing) -> Digest {
    match &listing.approved {
        Some(approved) => toolplane_registry::ingest::set_digest(approved),
        None => listing.digest(),
    }
}
