//! The explicit access policy.

use toolplane_registry::Version;
use toolplane_registry::policy::{AccessPolicy, Effective};

use super::{Error, How, Registrar, audit};
use crate::ids::new_id;
use crate::store::{Change, Commit, Policy};

impl Registrar {
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
}
