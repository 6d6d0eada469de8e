//! The registry, frozen: immutable, consistent, at one version.
//!
//! Owns [`Snapshot`], its builder and the consistency check that both planes run. Never changes after it was
//! built; a new state is a new snapshot.

mod builder;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use builder::Builder;

use crate::digest::{Digest, Hasher};
use crate::policy::CodeModePolicy;
use crate::upstream::{Header, SessionMode};
use crate::{Domain, Limits, Protocol, Secret, Tls, Tool, Version, View};

/// How a domain's tools are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where calls go.
    pub url: String,
    /// Configured headers, sent with every call.
    pub headers: Vec<Header>,
    /// How connections are secured. Like the limits it is left out of digests, which must not help in guessing a key,
    /// and a change of it changes `config_id`.
    pub tls: Tls,
    /// Globs over the caller's header names that may pass through; absent passes all that may pass at all.
    pub forward_headers: Option<Vec<String>>,
    /// How sessions are used.
    pub session_mode: SessionMode,
    /// How much of a node its upstream may take. Digests leave it out, so that a node of a release that does not
    /// know these fields arrives at the same ones: a change of it changes `config_id`, and that brings it to nodes.
    pub limits: Limits,
    /// Identifies this configuration. It stands for the header values in digests, so that no digest can be
    /// used to guess a credential; it changes whenever the upstream's configuration does.
    pub config_id: String,
    /// What the control plane found the upstream to speak. Like the limits it is left out of digests, and a change
    /// of it changes `config_id`.
    pub protocol: Protocol,
}

/// One domain with its admitted tools.
#[derive(Debug, Clone)]
pub struct DomainSnapshot {
    domain: Domain,
    description: String,
    endpoint: Endpoint,
    tools: Vec<Arc<Tool>>,
    pending: bool,
    digest: Digest,
}

/// Settings of the fleet that travel with the registry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Whether nodes offer the REST registration endpoints.
    pub registration_enabled: bool,
    /// What nodes seal request states with. Not part of any digest: nodes of releases that do not know them compute
    /// the same one.
    pub request_keys: Vec<RequestKey>,
    /// What the access policy says about code mode. Not part of any digest, for the same reason.
    pub code_mode: CodeModePolicy,
}

/// A key with which nodes seal what a caller has to bring back to any other node.
///
/// Nodes seal with the key that is over first among those that outlive what is sealed, and open with all that are not
/// over. The one that lasts longest is never over for a node, which may have lost its control plane long ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Names it.
    pub id: String,
    /// The key itself.
    pub key: Secret<[u8; 32]>,
    /// When it is over, in milliseconds since the Unix epoch.
    pub not_after: i64,
}

/// The registry at one version.
#[derive(Debug, Clone)]
pub struct Snapshot {
    version: Version,
    digest: Digest,
    settings: Settings,
    domains: BTreeMap<Domain, Arc<DomainSnapshot>>,
    all: View,
}

// ---- Endpoint ----

impl Endpoint {
    /// An endpoint with nothing but an address.
    pub fn plain(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            tls: Tls::default(),
            forward_headers: None,
            session_mode: SessionMode::default(),
            limits: Limits::default(),
            config_id: String::new(),
            protocol: Protocol::default(),
        }
    }
}

// ---- DomainSnapshot ----

impl DomainSnapshot {
    /// Freezes a domain; tools are ordered by original name.
    pub fn new(domain: Domain, description: String, endpoint: Endpoint, mut tools: Vec<Arc<Tool>>) -> Self {
        tools.sort_by(|a, b| a.original_name.cmp(&b.original_name));
        let mut entry =
            Self { domain, description, endpoint, tools, pending: false, digest: Digest::of(b"") };
        entry.digest = entry.compute_digest();
        entry
    }

    /// Marks a domain whose upstream has not been asked for its tools yet.
    #[must_use]
    pub fn with_pending(mut self, pending: bool) -> Self {
        if self.pending != pending {
            self.pending = pending;
            self.digest = self.compute_digest();
        }
        self
    }

    /// Whether freezing these parts would only make the same again. Tools are compared by identity, in any order:
    /// that is cheap, and equal ones of another origin are merely frozen once more.
    pub fn is_made_of(
        &self,
        description: &str,
        endpoint: &Endpoint,
        tools: &[Arc<Tool>],
        pending: bool,
    ) -> bool {
        let mut held: Vec<*const Tool> = self.tools.iter().map(Arc::as_ptr).collect();
        let mut given: Vec<*const Tool> = tools.iter().map(Arc::as_ptr).collect();
        held.sort_unstable();
        given.sort_unstable();
        held == given
            && self.pending == pending
            && self.description == description
            && self.endpoint == *endpoint
    }

    /// The upstream's public key.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// What the operator says of it.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How to reach it.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The admitted tools, by original name.
    pub fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    /// Whether the upstream has never been asked for its tools: a node is not ready while one is.
    pub fn pending(&self) -> bool {
        self.pending
    }

    /// The content digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    fn compute_digest(&self) -> Digest {
        let Self { domain, description, endpoint, tools, pending, digest: _ } = self;
        let Endpoint {
            url,
            headers,
            tls: _,
            forward_headers,
            session_mode,
            limits: _,
            config_id,
            protocol: _,
        } = endpoint;
        let mut hasher = Hasher::default()
            .text(domain.as_str())
            .text(description)
            .text(url)
            .text(config_id)
            .text(match session_mode {
                SessionMode::Isolated => "isolated",
                SessionMode::Shared => "shared",
            })
            .text(if *pending { "pending" } else { "" });
        for header in headers {
            hasher = hasher.text("header").text(&header.name);
        }
        for glob in forward_headers.iter().flatten() {
            hasher = hasher.text("forward").text(glob);
        }
        hasher = hasher.text(if forward_headers.is_some() { "narrowed" } else { "open" });
        for tool in tools {
            hasher = hasher.field(tool.content_digest().as_bytes());
        }
        hasher.finish()
    }
}

// ---- Snapshot ----

impl Snapshot {
    /// The version this is.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The digest of the whole content; the version is not part of it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Settings of the fleet.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Every registered domain, with or without tools.
    pub fn domains(&self) -> &BTreeMap<Domain, Arc<DomainSnapshot>> {
        &self.domains
    }

    /// What a caller sees from whom nothing is hidden.
    pub fn all(&self) -> &View {
        &self.all
    }

    /// How many tools there are.
    pub fn tool_count(&self) -> usize {
        self.all.len()
    }

    /// The digest of each domain held: what a node offers when it subscribes.
    pub fn held(&self) -> impl Iterator<Item = (&Domain, Digest)> {
        self.domains.iter().map(|(domain, entry)| (domain, entry.digest()))
    }
}

/// The digest of a whole snapshot from the digests of its domains, in domain order.
pub fn whole_digest<'a>(
    settings: &Settings,
    domains: impl IntoIterator<Item = (&'a Domain, Digest)>,
) -> Digest {
    let Settings { registration_enabled, request_keys: _, code_mode: _ } = settings;
    let mut hasher = Hasher::default().field(&[u8::from(*registration_enabled)]);
    for (domain, digest) in domains {
        hasher = hasher.text(domain.as_str()).field(digest.as_bytes());
    }
    hasher.finish()
}
