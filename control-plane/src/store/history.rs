//! What is kept of versions: what each held, what became of it, who refused it.
//!
//! Written by commits themselves, so that no version lacks its content (ADR 19). What only the publication of a
//! version shows (its digest, its counts, its refusals) is noted afterwards and may be missing.

use std::collections::BTreeMap;

use async_trait::async_trait;
use toolplane_registry::policy::AccessPolicy;
use toolplane_registry::upstream::{Owner, SchemaPolicy, ToolFilter};
use toolplane_registry::{Digest, Domain, RawJson, Rejection};

use super::{Error, Head, Millis, Registry};
use crate::rollout::Rollout;

/// A version in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRecord {
    /// Which one.
    pub number: u64,
    /// When it was committed.
    pub created_at: Millis,
    /// By whom.
    pub actor: String,
    /// What the commit did, in one line.
    pub summary: String,
    /// Whether its content is known.
    pub recorded: bool,
    /// What it was when it was published; absent where a newer version overtook it.
    pub publication: Option<Publication>,
    /// Nodes that refused it, by id.
    pub refusals: Vec<Refusal>,
}

/// What the publication of a version showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// The digest of the whole.
    pub digest: Digest,
    /// How many domains it has.
    pub domains: usize,
    /// How many tools it has.
    pub tools: usize,
}

/// A node that did not take a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which version.
    pub number: u64,
    /// Which node.
    pub node_id: String,
    /// When it last said so.
    pub at: Millis,
    /// Why.
    pub rejections: Vec<Rejection>,
}

/// The content of a version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// The explicit access policy.
    pub policy: Option<AccessPolicy>,
    /// What each domain offered.
    pub domains: BTreeMap<Domain, PastDomain>,
}

/// What a domain offered: nothing of how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastDomain {
    /// What it listed; absent where it had not been asked yet.
    pub tools: Option<Vec<RawJson>>,
    /// What was approved of that, for pinned upstreams.
    pub approved: Option<Vec<RawJson>>,
    /// Which of its tools were offered.
    pub filter: ToolFilter,
    /// What a changed tool did.
    pub schema_policy: SchemaPolicy,
    /// Who owned it; tells whose filter closes which world.
    pub owner: Owner,
}

/// The part of a store that keeps versions.
#[async_trait]
pub trait History {
    /// Versions, newest first, older than the one given.
    async fn list_versions(&self, before: Option<u64>, limit: u32) -> Result<Vec<VersionRecord>, Error>;

    /// The content of a version; `None` where it is not kept.
    async fn load_version(&self, number: u64) -> Result<Option<Past>, Error>;

    /// The rollout under way.
    async fn rollout(&self) -> Result<Option<Rollout>, Error>;

    /// The registry as a rollout keeps it, upstreams that were removed since left out; `None` where that rollout is
    /// not under way any more.
    async fn load_baseline(&self, etag: &str) -> Result<Option<Registry>, Error>;

    /// Notes what a version was when it was published; the first note stays.
    async fn note_published(&self, head: &Head, publication: Publication) -> Result<(), Error>;

    /// Notes that a node refused a version of the store with that id. A version that is not kept is not noted.
    async fn note_refusal(&self, store_id: &str, refusal: &Refusal) -> Result<(), Error>;

    /// Forgets all but the newest versions, and content that no kept version has.
    async fn prune_versions(&self, keep: u32) -> Result<(), Error>;
}
