//! What a change did, told in published names: the difference between two published states.

use std::collections::HashSet;
use std::sync::Arc;

use toolplane_registry::{Domain, Version};

use crate::refresh;
use crate::snapshots::Published;
use crate::store::Registered;

/// What a change of one upstream did.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The upstream as stored (as it would be, when only validated).
    pub upstream: Registered,
    /// The version from which on it is served.
    pub version: Version,
    /// Published names that its domain gained, sorted.
    pub added: Vec<String>,
    /// Published names that its domain lost, sorted.
    pub removed: Vec<String>,
    /// How many of its tools are published.
    pub tool_count: usize,
}

/// What a refresh found: the states around it and why upstreams could not be listed.
#[derive(Debug)]
pub struct Refreshed {
    /// Published when it began.
    pub before: Arc<Published>,
    /// Published when it ended.
    pub after: Arc<Published>,
    /// Per upstream asked.
    pub outcome: refresh::Outcome,
}

impl Refreshed {
    /// Names gained and lost by a domain, and how many it has.
    pub fn diff(&self, domain: &Domain) -> (Vec<String>, Vec<String>, usize) {
        let (old, new) = (self.before.names_of(domain), self.after.names_of(domain));
        let (added, removed) = difference(&old, &new);
        (added, removed, new.len())
    }
}

impl Changed {
    pub(super) fn between(upstream: Registered, before: &Published, after: &Published) -> Self {
        let domain = &upstream.upstream.domain;
        let (old, new) = (before.names_of(domain), after.names_of(domain));
        let (added, removed) = difference(&old, &new);
        Self { version: after.version().clone(), added, removed, tool_count: new.len(), upstream }
    }
}

/// What `new` has and `old` has not, and the other way round; both keep their order.
fn difference(old: &[String], new: &[String]) -> (Vec<String>, Vec<String>) {
    let only = |these: &[String], those: &[String]| {
        let those: HashSet<&String> = those.iter().collect();
        these.iter().filter(|name| !those.contains(name)).cloned().collect()
    };
    (only(new, old), only(old, new))
}
