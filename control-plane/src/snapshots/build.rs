//! The pure step from a stored registry to a published state.

use std::collections::BTreeMap;
use std::sync::Arc;

use toolplane_registry::digest::Hasher;
use toolplane_registry::policy::Effective;
use toolplane_registry::snapshot::{Builder, DomainSnapshot, Endpoint, Settings};
use toolplane_registry::upstream::Upstream;
use toolplane_registry::{Digest, Domain, Protocol, RawJson, Rejection, Snapshot, Tool, Version};
use toolplane_registry::{ingest, sanitize};

use super::pin;
use crate::environment::Environment;
use crate::options::Ingest;
use crate::store::{Head, Listing, Registered, Registry};

/// What turns a stored registry into a published one, besides the registry itself.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What the environment lays over it.
    pub environment: Environment,
    /// Rules for listed tools.
    pub ingest: Ingest,
    /// Whether nodes offer the REST registration endpoints.
    pub registration_enabled: bool,
    /// Keyed hash of all of this, as the store keeps it.
    pub fingerprint: String,
}

impl Rules {
    /// A digest of everything here that shows in a snapshot. It covers credentials: key it before it goes anywhere.
    pub fn content_digest(&self) -> Digest {
        let Self { environment, ingest, registration_enabled, fingerprint: _ } = self;
        let Environment { upstreams: _, descriptions, headers, policy } = environment;
        let Ingest { schema, trusted_domains, default_schema_policy: _ } = ingest;
        let mut hasher = Hasher::default()
            .field(&[u8::from(*registration_enabled)])
            .text(&format!("{schema:?}"))
            .optional(policy.as_ref().map(|policy| format!("{policy:?}")).as_deref());
        for domain in trusted_domains {
            hasher = hasher.text("trusted").text(domain);
        }
        for (domain, description) in descriptions {
            hasher = hasher.text("description").text(domain).text(description);
        }
        for (domain, headers) in headers {
            hasher = hasher.text("headers").text(domain);
            for header in headers {
                hasher = hasher.text(&header.name).text(header.value.expose());
            }
        }
        hasher.finish()
    }

    /// The configuration id of an upstream as it is in force: another one when the environment's headers change, or
    /// what the upstream speaks.
    fn config_id(&self, held: &Registered) -> String {
        let mut id = held.config_id.clone();
        if self.environment.headers.contains_key(held.upstream.domain.as_str()) {
            id = format!("{id}.{}", self.fingerprint);
        }
        match protocol(held) {
            Protocol::Unknown => id,
            known => format!("{id} {known}"),
        }
    }
}

/// A registry and the snapshot made of it.
#[derive(Debug)]
pub struct Published {
    /// As stored.
    pub registry: Registry,
    /// As sent to nodes.
    pub snapshot: Arc<Snapshot>,
    /// Per domain, what became of its listing.
    pub admitted: BTreeMap<Domain, Arc<Admitted>>,
    /// What a rollout keeps nodes at; absent where none is under way.
    pub baseline: Option<Arc<Snapshot>>,
}

/// What became of one domain's listing.
#[derive(Debug)]
pub struct Admitted {
    /// What admission was given: kept so that an unchanged listing is not admitted again.
    served: Vec<RawJson>,
    /// Tools that passed, before the access policy.
    pub tools: Vec<Arc<Tool>>,
    /// Why the others did not.
    refused: Vec<Rejection>,
    /// What a pin keeps from being served as it is listed.
    held_back: Vec<Rejection>,
}

impl Published {
    /// The version as nodes know it.
    pub fn version(&self) -> &Version {
        self.snapshot.version()
    }

    /// Published names of a domain's tools, sorted, as an operator sees them.
    pub fn names_of(&self, domain: &Domain) -> Vec<String> {
        let entries = self.snapshot.all().domain(domain.as_str());
        entries.into_iter().flatten().map(|entry| entry.name().to_owned()).collect()
    }
}

/// Builds the state of a registry. `previous` spares admitting listings that have not changed.
///
/// # Errors
///
/// Rejections, all together, where the result would contradict itself; nothing is published then.
pub fn build(
    registry: Registry,
    rules: &Rules,
    previous: Option<&Published>,
) -> Result<Published, Vec<Rejection>> {
    let effective: Vec<Upstream> =
        registry.upstreams.values().map(|held| rules.environment.overlay(&held.upstream)).collect();
    let explicit =
        rules.environment.policy.as_ref().or(registry.policy.as_ref().map(|policy| &policy.access));
    let policy = Effective::resolve(explicit, &effective)?;
    let Head { store_id, number } = &registry.head;
    let mut builder = Builder::new(Version::new(store_id.clone(), *number)).settings(Settings {
        registration_enabled: rules.registration_enabled,
        request_keys: registry.request_keys.clone(),
        code_mode: explicit.map(|policy| policy.code_mode).unwrap_or_default(),
    });
    let mut admitted = BTreeMap::new();
    for (held, upstream) in registry.upstreams.values().zip(effective) {
        let domain = upstream.domain.clone();
        let before = previous.and_then(|previous| previous.admitted.get(&domain));
        let outcome = admit(held, &rules.ingest, before);
        let tools: Vec<Arc<Tool>> = outcome
            .tools
            .iter()
            .filter(|tool| policy.admits(&domain, &tool.original_name))
            .map(Arc::clone)
            .collect();
        let frozen = previous.and_then(|previous| previous.snapshot.domains().get(&domain));
        builder = builder.shared(freeze(upstream, held, rules.config_id(held), tools, frozen));
        admitted.insert(domain, outcome);
    }
    let snapshot = Arc::new(builder.build()?);
    Ok(Published { registry, snapshot, admitted, baseline: None })
}

fn protocol(held: &Registered) -> Protocol {
    held.listing.as_ref().map_or(Protocol::Unknown, |listing| listing.protocol)
}

/// Freezes a domain, unless `before` is the same already: its digest covers every byte of every tool.
fn freeze(
    upstream: Upstream,
    held: &Registered,
    config_id: String,
    tools: Vec<Arc<Tool>>,
    before: Option<&Arc<DomainSnapshot>>,
) -> Arc<DomainSnapshot> {
    let Upstream { domain, url, description, headers, tls, forward_headers, session_mode, limits, .. } =
        upstream;
    let description = sanitize::one_line(&description);
    let protocol = protocol(held);
    let endpoint = Endpoint { url, headers, tls, forward_headers, session_mode, limits, config_id, protocol };
    let pending = held.listing.is_none();
    match before {
        Some(before) if before.is_made_of(&description, &endpoint, &tools, pending) => Arc::clone(before),
        _ => Arc::new(DomainSnapshot::new(domain, description, endpoint, tools).with_pending(pending)),
    }
}

fn admit(held: &Registered, ingest: &Ingest, before: Option<&Arc<Admitted>>) -> Arc<Admitted> {
    let upstream = &held.upstream;
    let (served, held_back) = match &held.listing {
        None => (Vec::new(), Vec::new()),
        Some(listing) => pin::served(&upstream.domain, upstream.schema_policy, listing),
    };
    if let Some(before) = before.filter(|before| before.served == served) {
        if before.held_back == held_back {
            return Arc::clone(before);
        }
        let (tools, refused) = (before.tools.clone(), before.refused.clone());
        return Arc::new(Admitted { served, tools, refused, held_back });
    }
    let rules = ingest::Rules {
        schema: ingest.schema,
        trusted_domain: ingest.trusted_domains.iter().any(|trusted| trusted == upstream.domain.as_str()),
    };
    let ingest::Ingested { tools, rejections } = ingest::admit(&upstream.domain, &served, &rules);
    Arc::new(Admitted { served, tools, refused: rejections, held_back })
}

impl Admitted {
    /// Why listed tools do not reach the nodes, or not as they are listed.
    pub fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        self.refused.iter().chain(&self.held_back)
    }
}

/// Whether a listing differs in anything a node would see.
pub(crate) fn differs(before: Option<&Listing>, after: &Listing) -> bool {
    before.is_none_or(|before| {
        before.tools != after.tools || before.approved != after.approved || before.protocol != after.protocol
    })
}
