//! Listing upstreams again.

use toolplane_registry::Domain;

use super::{Error, Refreshed, Registrar, held_in};

impl Registrar {
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
}
