//! Noticing that the database was restored from a backup.
//!
//! A restored store counts on from an older number, so the numbers that nodes hold would come to mean other
//! contents. Whoever sees a version of this store that the store does not know gives it a new id: every node is
//! then sent everything, and no version of the lost history is ever taken for one of the new.

use std::time::Duration;

use toolplane_registry::Version;

use super::{Error, Handle};
use crate::ids::new_id;
use crate::store::{self, AuditEntry, Change, Commit, Head, Millis, Store};

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
        let newest = self.newest(deadline).await?;
        if newest.version().store_id() != held.store_id() || newest.version().covers(held) {
            return Ok(());
        }
        let detail = format!("a node holds {held}, the store has come to {} only", newest.version());
        let renewal = renew(self.store.as_ref(), detail, at).await?;
        self.reach(&renewal, deadline).await?;
        Ok(())
    }
}
