//! Removing an upstream.

use toolplane_registry::Domain;
use toolplane_registry::upstream::Upstream;

use super::{Changed, Error, Registrar, held_in};
use crate::store::{Change, Registered};

impl Registrar {
    /// Removes an upstream; `expected` is the etag the caller saw.
    pub async fn delete(
        &self,
        actor: &str,
        domain: &Domain,
        expected: Option<String>,
    ) -> Result<Changed, Error> {
        let _turn = self.turns.take(domain).await;
        let newest = self.newest().await?;
        let held = match held_in(&newest, domain) {
            // Nothing is known of it but that its row cannot be read; that row can go all the same.
            Err(Error::NotFound(_)) if newest.registry.unreadable.contains_key(domain) => unread(domain),
            held => held?,
        };
        let change = Change::DeleteUpstream { domain: domain.clone(), expected };
        let (before, after) = self.commit(actor, "upstream.delete", domain, vec![change]).await?;
        Ok(Changed::between(held, &before, &after))
    }
}

fn unread(domain: &Domain) -> Registered {
    Registered {
        upstream: Upstream::new(domain.clone(), ""),
        config_id: String::new(),
        created_at: 0,
        updated_at: 0,
        frozen_at: None,
        listing: None,
    }
}
