//! Adding an upstream.

use toolplane_registry::upstream::Upstream;

use super::draft::Draft;
use super::{Changed, Error, How, Registrar};
use crate::store::Registry;

impl Registrar {
    /// Adds an upstream that must not exist.
    pub async fn create(&self, actor: &str, upstream: Upstream, how: How) -> Result<Changed, Error> {
        let _turn = self.turns.take(&upstream.domain).await;
        let newest = self.newest().await?;
        let Registry { upstreams, unreadable, .. } = &newest.registry;
        if upstreams.contains_key(&upstream.domain) || unreadable.contains_key(&upstream.domain) {
            return Err(Error::AlreadyExists(upstream.domain));
        }
        self.check_credentials(&upstream, None)?;
        let listing = self.check_and_list(&upstream, None, how).await?;
        self.put(actor, "upstream.create", Draft { upstream, listing, replaces: None }, how).await
    }
}
