//! The one path on which the registry changes.
//!
//! Owns the steps of every change, in order: admission, asking the upstream, one commit, waiting until the
//! result is published. Each verb is a file below. Admin services and the registration service both call it and
//! only translate. Never checks who may do what; its callers have.

mod create;
mod delete;
mod draft;
mod error;
mod outcome;
mod pinning;
mod policy;
mod refresh;
mod register;
mod rollback;
mod rollout;
mod turns;
mod update;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use toolplane_registry::Domain;
use toolplane_upstream::guard;

pub use error::Error;
pub use outcome::{Changed, Refreshed};
pub use pinning::Accepted;
pub use rollback::RolledBack;
pub use rollout::Ended;

use self::turns::Turns;
use crate::clock::Clock;
use crate::refresh::{Lister, Rounds};
use crate::snapshots::{self, Published, Rules};
use crate::store::{Attempt, AuditEntry, Change, Commit, Head, Millis, Registered, Store};

/// How long a commit may take to be published before its caller is told so.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(10);

/// Changes the registry. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registrar {
    parts: Arc<Parts>,
    turns: Turns,
}

/// What a [`Registrar`] works with.
#[derive(Debug)]
pub struct Parts {
    /// Where the registry is kept.
    pub store: Arc<dyn Store>,
    /// What is published.
    pub snapshots: snapshots::Handle,
    /// Asks one upstream.
    pub lister: Lister,
    /// Asks many.
    pub rounds: Rounds,
    /// What the environment lays over the registry.
    pub rules: Rules,
    /// Which addresses are acceptable.
    pub guard: guard::Policy,
    /// The time of day.
    pub clock: Clock,
}

/// How a change is to be made.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// Check everything, store nothing.
    pub validate_only: bool,
    /// Store an upstream even though it could not be listed.
    pub allow_unreachable: bool,
}

impl Registrar {
    /// Ready to change the registry.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), turns: Turns::default() }
    }

    /// What is published now.
    pub fn current(&self) -> Arc<Published> {
        self.parts.snapshots.current()
    }

    /// How the last try to list each upstream went.
    pub async fn attempts(&self) -> Result<BTreeMap<Domain, Attempt>, Error> {
        Ok(self.parts.store.attempts().await?)
    }

    /// An upstream as it is held now, whoever changed it last.
    pub async fn held(&self, domain: &Domain) -> Result<Registered, Error> {
        held_in(&*self.newest().await?, domain)
    }

    // ---- steps ----

    /// What a change is based on: another control plane may have committed since the last publication here.
    pub async fn newest(&self) -> Result<Arc<Published>, Error> {
        Ok(self.parts.snapshots.newest(PUBLISH_DEADLINE).await?)
    }

    async fn commit(
        &self,
        actor: &str,
        action: &'static str,
        domain: &Domain,
        changes: Vec<Change>,
    ) -> Result<(Arc<Published>, Arc<Published>), Error> {
        let at = self.parts.clock.now();
        let audit = audit(actor, action, format!("upstream {domain}"), at);
        let before = self.current();
        let after = self.publish(Commit { changes, audit: vec![audit], at }).await?;
        Ok((before, after))
    }

    async fn publish(&self, commit: Commit) -> Result<Arc<Published>, Error> {
        let head = self.store(commit).await?;
        self.reach(&head).await
    }

    async fn store(&self, commit: Commit) -> Result<Head, Error> {
        let head = self.parts.store.commit(&commit).await?;
        fail::fail_point!("control-plane.commit.after");
        for AuditEntry { actor, action, subject, .. } in &commit.audit {
            tracing::info!(snapshot.version = head.number, actor, action, subject, "{action}: {subject}");
        }
        Ok(head)
    }

    async fn reach(&self, head: &Head) -> Result<Arc<Published>, Error> {
        Ok(self.parts.snapshots.reach(head, PUBLISH_DEADLINE).await?)
    }
}

fn held_in(published: &Published, domain: &Domain) -> Result<Registered, Error> {
    let held = published.registry.upstreams.get(domain).cloned();
    held.ok_or_else(|| Error::NotFound(domain.clone()))
}

fn audit(actor: &str, action: &'static str, subject: String, at: Millis) -> AuditEntry {
    AuditEntry { actor: actor.to_owned(), action, subject, detail: String::new(), at }
}
