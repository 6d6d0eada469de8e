//! What the environment of the process declares: upstreams it owns, descriptions, headers and a policy.
//!
//! Owns the reconciliation at start, as a pure function from what is stored to the changes that are missing,
//! and the overlay of descriptions and headers. Never reads a variable; `cli` does.

use std::collections::{BTreeMap, BTreeSet};

use toolplane_registry::policy::{AccessPolicy, Effective};
use toolplane_registry::upstream::{Header, Owner, Upstream};
use toolplane_registry::{Domain, Rejection};
use toolplane_upstream::guard;

use crate::admission;
use crate::store::{Change, Registry};

/// Declared by the environment, applied at every start.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Upstreams it owns, in the order declared.
    pub upstreams: Vec<Upstream>,
    /// Descriptions that win over registered ones.
    pub descriptions: BTreeMap<String, String>,
    /// Headers for domains, whoever registered them; an upstream's own headers win.
    pub headers: BTreeMap<String, Vec<Header>>,
    /// An explicit access policy; wins over a stored one.
    pub policy: Option<AccessPolicy>,
}

impl Environment {
    /// Checks every declaration by the rules of admission.
    pub fn validate(&self, guard: &guard::Policy) -> Vec<Rejection> {
        let mut rejections: Vec<Rejection> = self
            .upstreams
            .iter()
            .filter_map(|upstream| admission::check(upstream, guard).err())
            .flatten()
            .collect();
        for (domain, headers) in &self.headers {
            rejections.extend(headers.iter().filter_map(|header| {
                admission::check_header(&format!("headers of `{domain}`"), header).err()
            }));
        }
        if let Err(more) = Effective::resolve(self.policy.as_ref(), &self.upstreams) {
            rejections.extend(more);
        }
        rejections
    }

    /// An upstream as it is in force: with the environment's description and headers laid over it.
    pub fn overlay(&self, upstream: &Upstream) -> Upstream {
        let mut effective = upstream.clone();
        if let Some(description) = self.descriptions.get(upstream.domain.as_str()) {
            effective.description.clone_from(description);
        }
        for header in self.headers.get(upstream.domain.as_str()).into_iter().flatten() {
            if !effective.headers.iter().any(|own| own.name == header.name) {
                effective.headers.push(header.clone());
            }
        }
        effective
    }

    /// What has to change so that the store holds what the environment declares: its upstreams as declared, and
    /// none that an earlier environment owned and this one does not name. What an API registered stays.
    pub fn reconcile(&self, stored: &Registry, mut new_id: impl FnMut() -> String) -> Vec<Change> {
        let declared: BTreeSet<&Domain> = self.upstreams.iter().map(|upstream| &upstream.domain).collect();
        let mut changes: Vec<Change> = stored
            .upstreams
            .values()
            .filter(|held| held.upstream.owner == Owner::Environment)
            .filter(|held| !declared.contains(&held.upstream.domain))
            .map(|held| Change::DeleteUpstream { domain: held.upstream.domain.clone(), expected: None })
            .collect();
        for upstream in &self.upstreams {
            let upstream = Upstream { owner: Owner::Environment, ..upstream.clone() };
            match stored.upstreams.get(&upstream.domain) {
                // Its row is there and cannot be read: declaring it mends it.
                None if stored.unreadable.contains_key(&upstream.domain) => {
                    // Nor can a freeze be relied on, whose tools go with this.
                    changes.push(Change::ResumeUpstream { domain: upstream.domain.clone() });
                    changes.push(Change::ReplaceUpstream {
                        upstream,
                        config_id: new_id(),
                        expected: None,
                        listing: None,
                    });
                }
                None => {
                    changes.push(Change::CreateUpstream { upstream, config_id: new_id(), listing: None });
                }
                Some(held) if held.upstream == upstream => {}
                Some(held) => {
                    // The tools known are kept where they were listed at the same address: they serve until
                    // the refresh that follows. A frozen upstream is not refreshed, so it keeps them anyway.
                    let same_place = held.upstream.listing_url() == upstream.listing_url();
                    let listing = held.listing.clone().filter(|_| same_place || held.frozen_at.is_some());
                    changes.push(Change::ReplaceUpstream {
                        upstream,
                        config_id: new_id(),
                        expected: None,
                        listing,
                    });
                }
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use toolplane_registry::Secret;

    use super::*;
    use crate::store::{Head, Registered};

    fn upstream(domain: &str, url: &str) -> Upstream {
        Upstream::new(Domain::parse(domain).unwrap(), url)
    }

    fn stored(upstreams: Vec<Upstream>) -> Registry {
        let upstreams = upstreams
            .into_iter()
            .map(|upstream| {
                let registered = Registered {
                    upstream: upstream.clone(),
                    config_id: "old".into(),
                    created_at: 1,
                    updated_at: 1,
                    frozen_at: None,
                    listing: None,
                };
                (upstream.domain, registered)
            })
            .collect();
        Registry {
            rollout: None,
            unreadable: BTreeMap::new(),
            committed_at: None,
            head: Head { store_id: "s".into(), number: 1 },
            upstreams,
            policy: None,
            environment: String::new(),
            request_keys: Vec::new(),
        }
    }

    #[test]
    fn reconciling_adds_replaces_removes_and_leaves_the_api_alone() {
        let owned = |domain, url| Upstream { owner: Owner::Environment, ..upstream(domain, url) };
        let held = stored(vec![
            owned("gone", "http://a/mcp"),
            owned("same", "http://b/mcp"),
            owned("moved", "http://c/mcp"),
            upstream("api", "http://d/mcp"),
        ]);
        let environment = Environment {
            upstreams: vec![
                upstream("same", "http://b/mcp"),
                upstream("moved", "http://c2/mcp"),
                upstream("new", "http://e/mcp"),
            ],
            ..Environment::default()
        };
        let described: Vec<String> = environment
            .reconcile(&held, || "id".into())
            .into_iter()
            .map(|change| match change {
                Change::DeleteUpstream { domain, .. } => format!("delete {domain}"),
                Change::ReplaceUpstream { upstream, .. } => format!("replace {}", upstream.domain),
                Change::CreateUpstream { upstream, .. } => format!("create {}", upstream.domain),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(described, ["delete gone", "replace moved", "create new"]);
    }

    #[test]
    fn own_headers_win_over_those_of_the_environment_and_its_description_wins() {
        let header = |name: &str, value: &str| Header { name: name.into(), value: Secret::new(value.into()) };
        let environment = Environment {
            descriptions: [("a".to_owned(), "from env".to_owned())].into(),
            headers: [("a".to_owned(), vec![header("x-a", "env"), header("x-b", "env")])].into(),
            ..Environment::default()
        };
        let own = Upstream {
            description: "mine".into(),
            headers: vec![header("x-a", "own")],
            ..upstream("a", "http://a/mcp")
        };
        let effective = environment.overlay(&own);
        assert_eq!(effective.description, "from env");
        assert_eq!(effective.headers, [header("x-a", "own"), header("x-b", "env")]);
    }
}
