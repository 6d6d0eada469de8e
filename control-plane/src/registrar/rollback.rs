//! Bringing back what an older version offered, and ending the freeze that this puts on upstreams.

use toolplane_registry::{Domain, Version};

use super::{Error, Refreshed, Registrar, audit};
use crate::history::Snapshot;
use crate::store::history::Past;
use crate::store::{self, Change, Commit, Head};

/// What a rollback did.
#[derive(Debug, Clone)]
pub struct RolledBack {
    /// The version that was made.
    pub version: Version,
    /// Domains that offer something else than before and are frozen.
    pub frozen: Vec<Domain>,
    /// Domains of the old version that are not registered any more.
    pub missing: Vec<Domain>,
}

impl Registrar {
    /// What a version offered, as the rules in force now admit it.
    pub async fn snapshot(&self, number: u64) -> Result<Snapshot, Error> {
        let past = self.past(number).await?;
        let head = Head { number, ..self.current().registry.head.clone() };
        Snapshot::rebuild(past, head, &self.parts.rules).map_err(Error::Rejected)
    }

    /// Makes a new version with the tools, filters and access policy of an older one.
    pub async fn rollback(&self, actor: &str, number: u64) -> Result<RolledBack, Error> {
        let past = self.past(number).await?;
        let at = self.parts.clock.now();
        let audit = audit(actor, "snapshot.rollback", format!("snapshot v{number}"), at);
        // The store compares with what there is in the transaction that changes it: nobody gets in between.
        let commit = Commit { changes: vec![Change::Restore { number }], audit: vec![audit], at };
        let after = self.publish(commit).await?;
        let held = &after.registry.upstreams;
        let frozen = held.iter().filter(|(_, one)| one.frozen_at == Some(number) && one.updated_at == at);
        let frozen = frozen.map(|(domain, _)| domain.clone()).collect();
        let missing = past.domains.into_keys().filter(|domain| !held.contains_key(domain)).collect();
        Ok(RolledBack { version: after.version().clone(), frozen, missing })
    }

    /// Ends the freeze of an upstream and lists its tools again.
    pub async fn resume(&self, actor: &str, domain: &Domain) -> Result<Refreshed, Error> {
        let change = Change::ResumeUpstream { domain: domain.clone() };
        self.commit(actor, "upstream.resume", domain, vec![change]).await?;
        self.refresh(actor, std::slice::from_ref(domain)).await
    }

    pub(super) async fn past(&self, number: u64) -> Result<Past, Error> {
        let past = self.parts.store.load_version(number).await.map_err(Error::from)?;
        past.ok_or_else(|| Error::Store(store::Error::NotFound(format!("the content of version {number}"))))
    }
}
