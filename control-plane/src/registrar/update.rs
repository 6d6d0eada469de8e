//! Replacing an upstream.

use toolplane_registry::Protocol;
use toolplane_registry::upstream::Upstream;

use super::draft::Draft;
use super::{Changed, Error, How, Registrar};
use crate::admission;
use crate::refresh::{self, Listed};
use crate::store::Listing;

impl Registrar {
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
        self.check_credentials(&upstream, Some(&held.upstream))?;
        let listing = if same_listing(&held.upstream, &upstream) {
            admission::check(&upstream, &self.parts.guard).map_err(Error::Rejected)?;
            let mut listing = repin(&upstream, held.listing.clone());
            // Called elsewhere from now on: the next refresh finds out how that speaks.
            if let Some(listing) = listing.as_mut().filter(|_| held.upstream.url != upstream.url) {
                listing.protocol = Protocol::Unknown;
            }
            listing
        } else {
            let same_place = held.upstream.listing_url() == upstream.listing_url();
            let before = held.listing.as_ref().filter(|_| same_place);
            self.check_and_list(&upstream, before, how).await?
        };
        let draft = Draft { upstream, listing, replaces: Some(held) };
        self.put(actor, "upstream.update", draft, how).await
    }
}

/// Whether both would be listed alike, so that what is known of the one holds for the other.
fn same_listing(a: &Upstream, b: &Upstream) -> bool {
    a.listing_url() == b.listing_url() && a.headers == b.headers && a.tls == b.tls && a.oauth == b.oauth
}

/// A listing under a schema policy that may have changed: a new pin approves what is served now.
fn repin(upstream: &Upstream, listing: Option<Listing>) -> Option<Listing> {
    listing.map(|listing| {
        let listed = Listed { tools: listing.tools.clone(), protocol: listing.protocol };
        if listing.success_at.is_none() {
            return listing;
        }
        let error = listing.error.clone();
        Listing { error, ..refresh::succeeded(upstream, Some(&listing), listed, listing.attempt_at) }
    })
}
