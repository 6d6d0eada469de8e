//! The only view of persistence: one trait, two backends, one behaviour suite.
//!
//! Owns what is kept and which steps are atomic. Every change of the registry is one [`Commit`]: its parts, its
//! audit records and the next version number are written in a single transaction, and the version is allocated
//! from a locked head row, so that numbers are ordered however many control planes write. Never decides whether
//! a change may enter ([`crate::admission`]) and never builds a snapshot ([`crate::snapshots`]).

mod database;
pub mod error;
pub mod history;
mod measured;
pub mod migrate;
mod postgres;
mod queries;
pub mod record;
mod replica;
mod rows;
mod sql;
mod sqlite;
#[cfg(test)]
mod suite;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use toolplane_registry::{Digest, Domain};
use toolplane_seal::Key;

use crate::metrics::Metrics;

pub use error::Error;
pub use history::History;
pub use record::{
    Attempt, AuditEntry, AuditRecord, Change, Claim, Commit, Expiry, Head, Listing, NodeRecord, Policy,
    Registered, Registry, Role, Token,
};
pub use replica::{ControlPlane, RefreshClaim, Wakeups};

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// Everything the control plane persists.
#[async_trait]
pub trait Store: History + fmt::Debug + Send + Sync {
    /// The newest version, without its content: what a control plane polls to learn of others' commits.
    async fn head(&self) -> Result<Head, Error>;

    /// The whole registry at one version, read in one transaction.
    async fn load(&self) -> Result<Registry, Error>;

    /// The same, given a state that was read before: tools of upstreams that have not changed since are taken from
    /// there, so that what this costs depends on what changed. Reads everything where that cannot be told.
    async fn load_after(&self, before: &Registry) -> Result<Registry, Error>;

    /// Applies every part of the commit or none, and returns the version it made.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::AlreadyExists`] and [`Error::Conflict`] name the part that did not fit;
    /// nothing was written then.
    async fn commit(&self, commit: &Commit) -> Result<Head, Error>;

    /// Notes when an upstream was asked for its tools and why it did not answer (empty: it did, and nothing had
    /// changed). Makes no version; does nothing when the upstream is gone or its configuration changed since.
    async fn record_attempt(
        &self,
        domain: &Domain,
        config_id: &str,
        at: Millis,
        error: &str,
    ) -> Result<(), Error>;

    /// Notes that an upstream was registered again as it is, with the tools it is known to have. Makes no version.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] and [`Error::Conflict`] where it is not as it was read any more; nothing was written then.
    async fn record_unchanged(
        &self,
        domain: &Domain,
        config_id: &str,
        audit: &AuditEntry,
    ) -> Result<(), Error>;

    /// How the last try to list each upstream went.
    async fn attempts(&self) -> Result<BTreeMap<Domain, Attempt>, Error>;

    /// Adds a token, together with its audit record.
    async fn insert_token(&self, token: &Token, hash: Digest, audit: &AuditEntry) -> Result<(), Error>;

    /// Finds a token by the hash of its secret, whether it is still valid or not.
    async fn find_token(&self, hash: Digest) -> Result<Option<Token>, Error>;

    /// Tokens in order of their id, after the one given.
    async fn list_tokens(&self, after: Option<&str>, limit: u32) -> Result<Vec<Token>, Error>;

    /// Marks a token as revoked (once: a second call keeps the first time); `None` where there is no such token.
    async fn revoke_token(&self, id: &str, at: Millis, audit: &AuditEntry) -> Result<Option<Token>, Error>;

    /// Audit records, newest first, older than the id given.
    async fn list_audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRecord>, Error>;

    /// Writes what is known of nodes, replacing what was: all of it or nothing. What a stream has to say that does
    /// not speak for its node, by its [`Claim`], is dropped.
    async fn put_nodes(&self, nodes: &[(NodeRecord, Claim)]) -> Result<(), Error>;

    /// All nodes seen and not forgotten, by id.
    async fn list_nodes(&self) -> Result<Vec<NodeRecord>, Error>;

    /// Removes what is older, so many of each kind at most, and returns how many that were. A node counts from when
    /// it was connected last; one that is connected to a control plane that lives stays.
    async fn forget(&self, expiry: &Expiry, limit: u32) -> Result<u64, Error>;

    /// Commits as they happen, whoever makes them.
    fn wakeups(&self) -> Box<dyn Wakeups>;

    /// Notes that a control plane lives for as long again.
    async fn renew_lease(&self, control_plane: &str, lease: Millis) -> Result<(), Error>;

    /// Control planes that live, and those that ended without a word to their nodes.
    async fn list_control_planes(&self) -> Result<Vec<ControlPlane>, Error>;

    /// Claims upstreams that are due: longest unasked first, and none that is claimed already. A claim ends when a
    /// listing or an attempt is stored, when it is released, and with its lease.
    async fn claim_refresh(&self, claim: &RefreshClaim) -> Result<Vec<Domain>, Error>;

    /// Gives back what a control plane has claimed and not listed.
    async fn release_refresh(&self, control_plane: &str) -> Result<(), Error>;
}

/// Connects to a database, applies missing migrations and returns its store.
///
/// `sqlite:PATH` (created when missing) or `postgres://…`, where no step may take longer than `timeout`.
pub async fn open(
    url: &str,
    key: Arc<Key>,
    timeout: Duration,
    metrics: Metrics,
) -> Result<Arc<dyn Store>, Error> {
    Ok(Arc::new(sql::Sql::open(url, key, timeout).await?.measured(metrics)))
}
