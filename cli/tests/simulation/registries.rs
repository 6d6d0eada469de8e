//! Registries that change at random: domains come, go and are replaced; some are empty, some are huge.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng as _;
use rand::rngs::SmallRng;
use toolplane_control_plane::snapshots::{self, Published, Rules};
use toolplane_control_plane::store::{Head, Listing, Registered, Registry};
use toolplane_registry::upstream::Upstream;
use toolplane_registry::{Domain, Protocol, RawJson};

/// Few enough that the same ones come and go.
const DOMAINS: usize = 10;

/// Makes changes.
#[derive(Debug)]
pub(crate) struct Generator {
    rng: SmallRng,
    /// How many tools a huge domain has.
    huge: usize,
    changes: u64,
}

/// A registry without anything in it.
pub(crate) fn nothing(store_id: &str) -> Registry {
    let head = Head { store_id: store_id.to_owned(), number: 1 };
    Registry {
        head,
        upstreams: BTreeMap::new(),
        policy: None,
        environment: String::new(),
        rollout: None,
        unreadable: BTreeMap::new(),
        request_keys: Vec::new(),
        committed_at: None,
    }
}

/// What is published of a registry; what was published before it saves work.
pub(crate) fn publish(registry: Registry, before: Option<&Published>) -> Arc<Published> {
    Arc::new(snapshots::build(registry, &Rules::default(), before).expect("the registry is sound"))
}

impl Generator {
    /// A generator with numbers of its own.
    pub(crate) fn new(rng: SmallRng, huge: usize) -> Self {
        Self { rng, huge, changes: 0 }
    }

    /// Changes one domain, or a few at once.
    pub(crate) fn change(&mut self, upstreams: &mut BTreeMap<Domain, Registered>) {
        let several = if self.rng.random_bool(0.1) { DOMAINS } else { self.rng.random_range(1..=2) };
        for _ in 0..several {
            self.changes += 1;
            let domain = Domain::parse(&format!("d{}", self.rng.random_range(0..DOMAINS))).expect("a domain");
            match self.rng.random_range(0..10) {
                0..=2 => {
                    upstreams.remove(&domain);
                }
                // The configuration changes, and the tools do not.
                3 if upstreams.contains_key(&domain) => {
                    let held = upstreams.get_mut(&domain).expect("it is there");
                    held.config_id = format!("c{}", self.changes);
                }
                _ => {
                    let registered = self.registered(domain.clone());
                    upstreams.insert(domain, registered);
                }
            }
        }
    }

    fn registered(&mut self, domain: Domain) -> Registered {
        let size = match self.rng.random_range(0..20) {
            0..=2 => 0,
            3 => self.huge,
            _ => self.rng.random_range(1..6),
        };
        let tools = (0..size).map(|index| self.tool(index, size)).collect();
        let listing = Listing {
            attempt_at: 1,
            success_at: Some(1),
            error: String::new(),
            tools,
            approved: None,
            protocol: Protocol::Unknown,
        };
        Registered {
            upstream: Upstream::new(domain, "http://127.0.0.1:9/mcp"),
            config_id: format!("c{}", self.changes),
            created_at: 1,
            updated_at: 1,
            frozen_at: None,
            // Now and then one that has not been asked yet.
            listing: (!self.rng.random_bool(0.1)).then_some(listing),
        }
    }

    fn tool(&mut self, index: usize, size: usize) -> RawJson {
        let words = if size == self.huge { 300 } else { 3 };
        let mut description = format!("Does what change {} says.", self.changes);
        for _ in 0..words {
            description.push_str(" And more.");
        }
        RawJson::from(&serde_json::json!({
            "name": format!("tool_{index}"),
            "description": description,
            "inputSchema": { "type": "object", "properties": {} },
        }))
    }
}
