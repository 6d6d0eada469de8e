//! Rollouts: begun, promoted and aborted, each as a version of its own.

use toolplane_registry::{Domain, RawJson, Version};

use super::{Error, Registrar, audit};
use crate::ids::new_id;
use crate::rollout::{Canary, Rollout};
use crate::store::history::PastDomain;
use crate::store::{self, Change, Commit, Registered};

/// What ending a rollout did.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The one that ended; the one that would, when only validated.
    pub rollout: Rollout,
    /// The version that was made.
    pub version: Version,
    /// Domains that offer something else than before and are frozen.
    pub frozen: Vec<Domain>,
    /// Domains of the baseline that were removed meanwhile, whether or not there is another one by that name.
    pub missing: Vec<Domain>,
}

impl Registrar {
    /// Keeps every node that is no canary at what is newest now. Returns the rollout and the version made for it.
    pub async fn start_rollout(&self, actor: &str, canary: Canary) -> Result<(Rollout, Version), Error> {
        let at = self.parts.clock.now();
        let (etag, by) = (new_id(), actor.to_owned());
        let audit = audit(actor, "rollout.start", format!("rollout {canary}"), at);
        let change = Change::StartRollout { etag: etag.clone(), canary: canary.clone(), actor: by.clone() };
        let head = self.store(Commit { changes: vec![change], audit: vec![audit], at }).await?;
        let upstreams = self.reach(&head).await?.registry.upstreams.len();
        let rollout = Rollout { etag, canary, baseline: head.number, actor: by, started_at: at, upstreams };
        Ok((rollout, Version::new(head.store_id, head.number)))
    }

    /// Gives every node the newest state.
    pub async fn promote_rollout(&self, actor: &str, rollout: Rollout) -> Result<Ended, Error> {
        let change = Change::PromoteRollout { etag: rollout.etag.clone() };
        let at = self.parts.clock.now();
        let audit = audit(actor, "rollout.promote", format!("rollout {}", rollout.canary), at);
        let after = self.publish(Commit { changes: vec![change], audit: vec![audit], at }).await?;
        let version = after.version().clone();
        Ok(Ended { rollout, version, frozen: Vec::new(), missing: Vec::new() })
    }

    /// Takes the canaries back to what the others were kept at.
    pub async fn abort_rollout(&self, actor: &str, rollout: Rollout) -> Result<Ended, Error> {
        let number = rollout.baseline;
        let past = self.past(number).await?;
        let at = self.parts.clock.now();
        let mut audit = audit(actor, "rollout.abort", format!("rollout {}", rollout.canary), at);
        audit.detail = format!("back to v{number}");
        // One transaction: no version without the hold has what was tried.
        let change = Change::AbortRollout { etag: rollout.etag.clone() };
        let after = self.publish(Commit { changes: vec![change], audit: vec![audit], at }).await?;
        let held = &after.registry.upstreams;
        let frozen = held.iter().filter(|(_, one)| one.frozen_at == Some(number) && one.updated_at == at);
        let frozen = frozen.map(|(domain, _)| domain.clone()).collect();
        let missing = past.domains.iter().filter(|(domain, then)| !is_back(then, held.get(*domain)));
        let missing = missing.map(|(domain, _)| domain.clone()).collect();
        Ok(Ended { rollout, version: after.version().clone(), frozen, missing })
    }

    /// The rollout under way, if it is the one meant; an empty etag means any.
    pub async fn rollout(&self, etag: &str) -> Result<Rollout, Error> {
        let rollout = self.parts.store.rollout().await.map_err(Error::from)?;
        let Some(rollout) = rollout else {
            return Err(Error::Store(store::Error::NotFound("a rollout under way".to_owned())));
        };
        if !etag.is_empty() && rollout.etag != etag {
            let subject = "the rollout under way".to_owned();
            return Err(Error::Conflict { subject, held: rollout.etag, expected: etag.to_owned() });
        }
        Ok(rollout)
    }
}

/// Whether an upstream offers again what it did. One that was removed meanwhile offers nothing, if it is there at all.
fn is_back(then: &PastDomain, now: Option<&Registered>) -> bool {
    let offers = |tools: Option<&Vec<RawJson>>| tools.is_some_and(|tools| !tools.is_empty());
    let now = now.map(|now| now.listing.as_ref().map(|listing| &listing.tools));
    now.is_some_and(|now| offers(now) || !offers(then.tools.as_ref()))
}
