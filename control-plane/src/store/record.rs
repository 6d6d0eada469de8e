//! What the store keeps, as plain values: neither rows nor wire.

mod access;
mod node;

use std::collections::BTreeMap;

use toolplane_registry::policy::AccessPolicy;
use toolplane_registry::upstream::Upstream;
use toolplane_registry::{Digest, Domain, Protocol, RawJson, RequestKey};

use super::Millis;
use crate::rollout::{Canary, Rollout};

pub use access::{AuditEntry, AuditRecord, Role, Token};
pub use node::{Claim, NodeRecord};

/// The newest version of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Made once, when the database was created.
    pub store_id: String,
    /// 0 before the first commit.
    pub number: u64,
}

/// The registry at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Which version this is.
    pub head: Head,
    /// When it was committed; absent before the first commit. Tells it from one that a restored database has under
    /// the same number.
    pub committed_at: Option<Millis>,
    /// Every upstream, by domain.
    pub upstreams: BTreeMap<Domain, Registered>,
    /// The explicit access policy, where one is set.
    pub policy: Option<Policy>,
    /// Keyed hash of what the environment of the last start laid over it.
    pub environment: String,
    /// The rollout under way.
    pub rollout: Option<Rollout>,
    /// Upstreams whose rows cannot be read, and why. Those that were read before are among the upstreams
    /// as they were then.
    pub unreadable: BTreeMap<Domain, String>,
    /// The keys with which nodes seal request states, the one that is over first in front.
    pub request_keys: Vec<RequestKey>,
}

/// An upstream with what the store knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// As registered.
    pub upstream: Upstream,
    /// Changes with every change of the configuration; serves as etag.
    pub config_id: String,
    /// When it was first registered.
    pub created_at: Millis,
    /// When its configuration last changed.
    pub updated_at: Millis,
    /// The version whose tools a rollback gave it; they are not refreshed until it is resumed.
    pub frozen_at: Option<u64>,
    /// What was found when its tools were listed; absent before the first attempt.
    pub listing: Option<Listing>,
}

/// What an upstream lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// When it was last asked.
    pub attempt_at: Millis,
    /// When it last answered; absent while it never has.
    pub success_at: Option<Millis>,
    /// Why it did not answer the last time, in words without secrets; empty when it did.
    pub error: String,
    /// The tools of its last answer, exactly as sent, in the order sent.
    pub tools: Vec<RawJson>,
    /// The tools an operator approved; kept for pinned upstreams only.
    pub approved: Option<Vec<RawJson>>,
    /// How it spoke when it last answered.
    pub protocol: Protocol,
}

/// How the last try to list an upstream went. It makes no version, so a published registry may be behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it was last asked.
    pub attempt_at: Millis,
    /// When it last answered.
    pub success_at: Option<Millis>,
    /// Why it did not answer the last time; empty when it did.
    pub error: String,
}

/// An explicit access policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The rules.
    pub access: AccessPolicy,
    /// Changes with every change.
    pub etag: String,
}

/// One atomic change of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its parts, applied in order.
    pub changes: Vec<Change>,
    /// Its audit records; the version is filled in by the store.
    pub audit: Vec<AuditEntry>,
    /// When.
    pub at: Millis,
}

/// One part of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds an upstream; it must not exist.
    CreateUpstream {
        /// As registered.
        upstream: Upstream,
        /// Its first configuration id.
        config_id: String,
        /// What it lists, where it was asked already.
        listing: Option<Listing>,
    },
    /// Replaces an upstream's configuration and listing; it must exist.
    ReplaceUpstream {
        /// As registered now.
        upstream: Upstream,
        /// Its new configuration id.
        config_id: String,
        /// The configuration id it must have had; absent: whichever.
        expected: Option<String>,
        /// What it lists; replaces what was known.
        listing: Option<Listing>,
    },
    /// Removes an upstream; it must exist.
    DeleteUpstream {
        /// Which one.
        domain: Domain,
        /// The configuration id it must have; absent: whichever.
        expected: Option<String>,
    },
    /// Replaces what an upstream lists.
    PutListing {
        /// Which one.
        domain: Domain,
        /// The configuration the tools were listed with; it must still be in force.
        config_id: String,
        /// What it lists now.
        listing: Listing,
    },
    /// Sets or removes the explicit access policy.
    PutPolicy {
        /// The new policy; absent removes it.
        policy: Option<Policy>,
        /// The etag it must have had; absent: whichever.
        expected: Option<String>,
    },
    /// Ends the freeze of an upstream; it must exist.
    ResumeUpstream {
        /// Which one.
        domain: Domain,
    },
    /// Gives every upstream the tools, filter and schema policy it had at a version, brings back that version's
    /// access policy, and freezes the upstreams that this changes. Addresses and headers stay.
    Restore {
        /// A version whose content is kept.
        number: u64,
    },
    /// Begins a rollout whose baseline is the version that this commit makes; none may be under way.
    StartRollout {
        /// Its etag.
        etag: String,
        /// Who gets newer versions.
        canary: Canary,
        /// Who begins it.
        actor: String,
    },
    /// Ends the rollout: this version is for every node.
    PromoteRollout {
        /// Which one.
        etag: String,
    },
    /// Ends the rollout and goes back to its baseline: as [`Change::Restore`], and upstreams are reached as they were.
    AbortRollout {
        /// Which one.
        etag: String,
    },
    /// Gives the store a new id: versions from before are of another history.
    RenewStore {
        /// The new id.
        store_id: String,
    },
    /// Notes what the environment lays over the registry, so that its change is a version like any other.
    PutEnvironment {
        /// A keyed hash: it says nothing about the credentials in it.
        fingerprint: String,
    },
}

/// What may be forgotten; absent: nothing of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Audit records from before this time.
    pub audit_before: Option<Millis>,
    /// Nodes that have not been connected since.
    pub nodes_before: Option<Millis>,
}

impl Listing {
    /// The digest of what the upstream lists.
    pub fn digest(&self) -> Digest {
        toolplane_registry::ingest::set_digest(&self.tools)
    }
}
