//! The store over SQL, the same for both backends.
//!
//! Owns which statements make up a step and which of them share a transaction. Changes of the registry are in
//! `sql/changes.rs`. The store's identity and a sealed value are written by whoever opens the database first;
//! everybody after has to bring the key that opens it.

mod changes;
mod history;
mod load;
mod replicas;
mod request_keys;
mod rollouts;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use toolplane_registry::{Digest, Domain};
use toolplane_seal::Key;

use crate::ids::new_id;
use crate::metrics::Metrics;

use super::database::Value;
use super::measured::{Database, Transaction};
use super::migrate::Backend;
use super::rows::{self, AuditRow, HeadRow, ListingRow, NodeRow, TokenRow};
use super::{
    Attempt, AuditEntry, AuditRecord, Claim, Commit, ControlPlane, Error, Expiry, Head, Millis, NodeRecord,
    RefreshClaim, Registry, Store, Token, Wakeups, queries,
};

/// What the key check is sealed for.
const KEY_CHECK_CONTEXT: &[u8] = b"head/key_check";

/// A store in a SQL database.
pub(super) struct Sql {
    database: Database,
    key: Arc<Key>,
}

impl Sql {
    /// Opens the database, brings its schema up to date and checks the key.
    pub(super) async fn open(url: &str, key: Arc<Key>, timeout: Duration) -> Result<Self, Error> {
        let store = Self { database: Database::open(url, timeout).await?, key };
        store.claim().await?;
        Ok(store)
    }

    /// Has what it does measured from here on.
    pub(super) fn measured(self, metrics: Metrics) -> Self {
        Self { database: self.database.measured(metrics), ..self }
    }

    async fn claim(&self) -> Result<(), Error> {
        let store_id = new_id();
        let check = self.key.seal(store_id.as_bytes(), KEY_CHECK_CONTEXT);
        self.database.execute(queries::CREATE_HEAD, &[store_id.into(), check.into()]).await?;
        for (check,) in self.database.fetch::<(Vec<u8>,)>(queries::KEY_CHECK, &[]).await? {
            self.key.open(&check, KEY_CHECK_CONTEXT).map_err(Error::Sealed)?;
        }
        Ok(())
    }

    async fn try_commit(&self, commit: &Commit) -> Result<Head, Error> {
        let mut transaction = self.database.write().await?;
        let head = changes::apply(&mut transaction, &self.key, commit).await?;
        fail::fail_point!("control-plane.commit.before");
        transaction.commit().await?;
        Ok(head)
    }

    async fn find_one_token(&self, sql: &'static str, value: Value) -> Result<Option<Token>, Error> {
        self.database.fetch::<TokenRow>(sql, &[value]).await?.pop().map(Token::try_from).transpose()
    }
}

/// Ways around the store, for tests that break a database or look into it.
#[cfg(test)]
impl Sql {
    pub(super) async fn raw(&self, sql: &'static str) -> Result<u64, Error> {
        self.database.execute(sql, &[]).await
    }

    /// A transaction that has still to be ended.
    pub(super) async fn begin_write(&self) -> Transaction {
        self.database.write().await.unwrap()
    }

    pub(super) async fn texts(&self, sql: &'static str) -> Result<Vec<String>, Error> {
        let rows = self.database.fetch::<(String,)>(sql, &[]).await?;
        Ok(rows.into_iter().map(|(text,)| text).collect())
    }
}

#[async_trait]
impl Store for Sql {
    async fn head(&self) -> Result<Head, Error> {
        let head = one_head(self.database.fetch(queries::HEAD, &[]).await?)?;
        self.database.metrics().head(head.number);
        Ok(head)
    }

    async fn load(&self) -> Result<Registry, Error> {
        self.read(None).await
    }

    async fn load_after(&self, before: &Registry) -> Result<Registry, Error> {
        self.read(Some(before)).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Head, Error> {
        let began = Instant::now();
        let result = self.try_commit(commit).await;
        self.database.metrics().commit(result.as_ref().map(|head| head.number), began.elapsed());
        result
    }

    async fn record_attempt(
        &self,
        domain: &Domain,
        config_id: &str,
        at: Millis,
        error: &str,
    ) -> Result<(), Error> {
        let mut transaction = self.database.write().await?;
        let held = changes::lock_config_id(&mut transaction, domain).await?;
        if held.as_deref() == Some(config_id) {
            let success_at = error.is_empty().then_some(at);
            let values = [domain.as_str().into(), at.into(), success_at.into(), error.into()];
            transaction.execute(queries::RECORD_ATTEMPT, &values).await?;
            transaction.execute(queries::END_CLAIM, &[domain.as_str().into()]).await?;
        }
        transaction.commit().await
    }

    async fn record_unchanged(
        &self,
        domain: &Domain,
        config_id: &str,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        let mut transaction = self.database.write().await?;
        changes::require_upstream(&mut transaction, domain, Some(config_id)).await?;
        let values = [domain.as_str().into(), audit.at.into(), Some(audit.at).into(), "".into()];
        transaction.execute(queries::RECORD_ATTEMPT, &values).await?;
        transaction.execute(queries::END_CLAIM, &[domain.as_str().into()]).await?;
        insert_audit(&mut transaction, audit, 0).await?;
        transaction.commit().await
    }

    async fn attempts(&self) -> Result<BTreeMap<Domain, Attempt>, Error> {
        let rows: Vec<ListingRow> = self.database.fetch(queries::LISTINGS, &[]).await?;
        rows.into_iter().map(ListingRow::into_attempt).collect()
    }

    async fn insert_token(&self, token: &Token, hash: Digest, audit: &AuditEntry) -> Result<(), Error> {
        let Token { id, description, role, may_register, created_at, expires_at, revoked_at } = token;
        let values = [
            id.as_str().into(),
            hash.as_bytes().to_vec().into(),
            description.as_str().into(),
            role.as_str().into(),
            (*created_at).into(),
            (*expires_at).into(),
            (*revoked_at).into(),
            (*may_register).into(),
        ];
        let mut transaction = self.database.write().await?;
        if transaction.execute(queries::INSERT_TOKEN, &values).await? == 0 {
            return Err(Error::AlreadyExists(format!("token `{id}`")));
        }
        insert_audit(&mut transaction, audit, 0).await?;
        transaction.commit().await
    }

    async fn find_token(&self, hash: Digest) -> Result<Option<Token>, Error> {
        self.find_one_token(queries::TOKEN_BY_HASH, hash.as_bytes().to_vec().into()).await
    }

    async fn list_tokens(&self, after: Option<&str>, limit: u32) -> Result<Vec<Token>, Error> {
        // Every id sorts after the empty text.
        let values = [after.unwrap_or("").into(), i64::from(limit).into()];
        rows::convert_all(self.database.fetch::<TokenRow>(queries::TOKENS_AFTER, &values).await?)
    }

    async fn revoke_token(&self, id: &str, at: Millis, audit: &AuditEntry) -> Result<Option<Token>, Error> {
        let mut transaction = self.database.write().await?;
        if transaction.execute(queries::REVOKE_TOKEN, &[id.into(), at.into()]).await? > 0 {
            insert_audit(&mut transaction, audit, 0).await?;
        }
        transaction.commit().await?;
        self.find_one_token(queries::TOKEN_BY_ID, id.into()).await
    }

    async fn list_audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRecord>, Error> {
        let values = [before.unwrap_or(i64::MAX).into(), i64::from(limit).into()];
        rows::convert_all(self.database.fetch::<AuditRow>(queries::AUDIT_BEFORE, &values).await?)
    }

    async fn put_nodes(&self, nodes: &[(NodeRecord, Claim)]) -> Result<(), Error> {
        let mut transaction = self.database.write().await?;
        for (node, claim) in nodes {
            let mut values = Vec::from(rows::node_values(node));
            values.extend([(*claim == Claim::Opened).into(), (*claim == Claim::Late).into()]);
            transaction.execute(queries::PUT_NODE, &values).await?;
        }
        transaction.commit().await
    }

    async fn list_nodes(&self) -> Result<Vec<NodeRecord>, Error> {
        rows::convert_all(self.database.fetch::<NodeRow>(queries::NODES, &[]).await?)
    }

    async fn forget(&self, expiry: &Expiry, limit: u32) -> Result<u64, Error> {
        let Expiry { audit_before, nodes_before } = expiry;
        let parts = [(queries::FORGET_AUDIT, audit_before), (queries::FORGET_NODES, nodes_before)];
        let mut removed = 0_u64;
        for (sql, before) in parts {
            let Some(before) = before else { continue };
            let values = [(*before).into(), i64::from(limit).into()];
            removed = removed.saturating_add(self.database.execute(sql, &values).await?);
        }
        Ok(removed)
    }

    fn wakeups(&self) -> Box<dyn Wakeups> {
        self.database.wakeups()
    }

    async fn renew_lease(&self, control_plane: &str, lease: Millis) -> Result<(), Error> {
        let mut transaction = self.database.write().await?;
        replicas::renew_lease(&mut transaction, control_plane, lease).await?;
        transaction.commit().await
    }

    async fn list_control_planes(&self) -> Result<Vec<ControlPlane>, Error> {
        let mut transaction = self.database.read().await?;
        let control_planes = replicas::control_planes(&mut transaction).await?;
        transaction.commit().await?;
        Ok(control_planes)
    }

    async fn claim_refresh(&self, claim: &RefreshClaim) -> Result<Vec<Domain>, Error> {
        let mut transaction = self.database.write().await?;
        let claimed = replicas::claim(&mut transaction, claim).await?;
        transaction.commit().await?;
        Ok(claimed)
    }

    async fn release_refresh(&self, control_plane: &str) -> Result<(), Error> {
        self.database.execute(queries::RELEASE_REFRESH, &[control_plane.into()]).await?;
        Ok(())
    }
}

impl fmt::Debug for Sql {
    /// Shows the backend alone: the pools know credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.database.backend() {
            Backend::Sqlite => "Sql(sqlite)",
            Backend::Postgres => "Sql(postgres)",
        })
    }
}

fn one_head(mut rows: Vec<HeadRow>) -> Result<Head, Error> {
    rows.pop().ok_or_else(|| Error::NotFound("the store's head row".to_owned()))?.try_into()
}

/// Writes an audit record; `version` is 0 where the change makes none.
async fn insert_audit(transaction: &mut Transaction, entry: &AuditEntry, version: i64) -> Result<(), Error> {
    let AuditEntry { actor, action, subject, detail, at } = entry;
    let values = [
        (*at).into(),
        actor.as_str().into(),
        (*action).into(),
        subject.as_str().into(),
        detail.as_str().into(),
        version.into(),
    ];
    transaction.execute(queries::INSERT_AUDIT, &values).await?;
    Ok(())
}
