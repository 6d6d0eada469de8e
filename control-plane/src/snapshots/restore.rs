//! Noticing that the database was restored from a backup.
//!
//! A restored store counts on from an older number, so the numbers that nodes hold would come to mean other
//! contents. Whoever sees a version of this store that the store does not know gives it a new id: every node is
//! then sent everything, and no version of the lost history is ever taken for one of the new.
//!
//! What a node says it holds is a claim, and any node token can make it. After a restore one claim is enough, because
//! nobody holds a version of the new id; so a control plane believes one, and no other for as long as
//! [`BELIEVE_EVERY`]: a token that lies costs the fleet one full update in that time and no more. That the number of
//! the database itself went back is no claim, and is acted upon whenever it is seen.

use std::time::Duration;

use tokio::time::Instant;
use toolplane_registry::Version;

use super::{Error, Handle};
use crate::ids::new_id;
use crate::store::{self, AuditEntry, Change, Commit, Head, Millis, Store};

/// How long after a claim of a node was believed no other is.
const BELIEVE_EVERY: Duration = Duration::from_hours(1);

/// Gives the store a new id, in a commit of its own.
pub(super) async fn renew(store: &dyn Store, detail: String, at: Millis) -> Result<Head, store::Error> {
    tracing::error!(
        detail,
        "the database was restored from a backup: it gets a new id, every node is sent everything"
    );
    let audit = AuditEntry {
        actor: "system".to_owned(),
        action: "store.renew",
        subject: "store".to_owned(),
        detail,
        at,
    };
    let changes = vec![Change::RenewStore { store_id: new_id() }];
    store.commit(&Commit { changes, audit: vec![audit], at }).await
}

impl Handle {
    /// Makes sure that a version somebody holds belongs to the history of the store, or starts a new history.
    pub async fn rule_out_restore(
        &self,
        held: &Version,
        at: Millis,
        deadline: Duration,
    ) -> Result<(), Error> {
        if held.is_none() || self.current().version().covers(held) {
            return Ok(());
        }
        // This control plane may only be behind: what is newer can be of another store as well, to which one that is
        // cut off from its database must not send a node back.
        if !self.is_lost(held, deadline).await? {
            return Ok(());
        }
        // One at a time: whoever comes second finds the new history of the first.
        let mut believed = self.believed.lock().await;
        if !self.is_lost(held, deadline).await? {
            return Ok(());
        }
        let now = Instant::now();
        if believed.is_some_and(|at| now.saturating_duration_since(at) < BELIEVE_EVERY) {
            return Err(Error::Implausible(held.clone()));
        }
        let current = self.current();
        let detail = format!("a node holds {held}, the store has come to {} only", current.version());
        let renewal = renew(self.store.as_ref(), detail, at).await?;
        *believed = Some(now);
        self.reach(&renewal, deadline).await?;
        Ok(())
    }

    /// Whether the store should know a version, by its id, and does not.
    async fn is_lost(&self, held: &Version, deadline: Duration) -> Result<bool, Error> {
        let newest = self.newest(deadline).await?;
        Ok(newest.version().store_id() == held.store_id() && !newest.version().covers(held))
    }
}
