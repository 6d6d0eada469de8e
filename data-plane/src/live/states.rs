//! What is known of each upstream from call to call, carried from one snapshot to the next, and the pools of those that
//! have TLS settings of their own.
//!
//! A request finds the state of its upstream in the snapshot it loaded, without a lock. A snapshot that still has the
//! upstream at the same address takes its state over; one that has not lets go of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use toolplane_registry::{Domain, Snapshot};
use toolplane_upstream::Connector;
use toolplane_upstream::connector::Secured;
use toolplane_upstream::limits::{Settings, State};

pub(super) type States = BTreeMap<Domain, Arc<State>>;
/// Only upstreams with settings of their own. A pool that an upstream of the snapshot before had is the same one, as
/// long as that snapshot is there.
pub(super) type Pools = BTreeMap<Domain, Secured>;

/// Whatever a snapshot's limits are laid over, and what they are told to.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    /// The node's own limits.
    pub(crate) defaults: Settings,
    /// Learns the limits on single exchanges.
    pub(crate) connector: Option<Connector>,
}

impl Upstreams {
    /// The states for a snapshot, given those of the one before.
    pub(super) fn next(&self, before: &States, snapshot: &Snapshot) -> States {
        let states: States = snapshot
            .domains()
            .iter()
            .map(|(domain, entry)| {
                let endpoint = entry.endpoint();
                let settings = self.defaults.with(&endpoint.limits);
                let state = match before.get(domain) {
                    Some(state) => state.next(&endpoint.url, settings),
                    None => State::new(domain.as_str(), &endpoint.url, settings),
                };
                (domain.clone(), Arc::new(state))
            })
            .collect();
        if let Some(connector) = &self.connector {
            let timeouts = snapshot.domains().iter().filter_map(|(domain, entry)| {
                Some((entry.endpoint().url.clone(), states.get(domain)?.settings().timeouts))
            });
            connector.set_timeouts(timeouts);
        }
        states
    }

    /// The pools for a snapshot whose states these are.
    pub(super) fn pools(&self, snapshot: &Snapshot, states: &States) -> Pools {
        let Some(connector) = &self.connector else { return Pools::new() };
        let own = snapshot.domains().iter().filter_map(|(domain, entry)| {
            let connect = states.get(domain).and_then(|state| state.settings().timeouts.connect);
            Some((domain.clone(), connector.secure(&entry.endpoint().tls, connect)?))
        });
        own.collect()
    }
}

#[cfg(test)]
mod tests {
    use toolplane_registry::snapshot::{Builder, DomainSnapshot, Endpoint};
    use toolplane_registry::{Limits, Version};

    use super::*;

    fn snapshot(domains: &[(&str, &str, u32)]) -> Snapshot {
        let mut builder = Builder::new(Version::new("s", 1));
        for (domain, url, max_queue) in domains {
            let limits = Limits { max_queue: Some(*max_queue), ..Limits::default() };
            let endpoint = Endpoint { limits, ..Endpoint::plain(*url) };
            let domain = Domain::parse(domain).unwrap();
            builder = builder.domain(DomainSnapshot::new(domain, String::new(), endpoint, Vec::new()));
        }
        builder.build().unwrap()
    }

    #[tokio::test]
    async fn states_follow_the_upstreams_that_there_are() {
        let upstreams = Upstreams::default();
        let first =
            upstreams.next(&States::new(), &snapshot(&[("a", "http://a/", 1), ("b", "http://b/", 1)]));
        let second = upstreams.next(&first, &snapshot(&[("a", "http://a/", 2)]));
        assert_eq!(second.keys().map(Domain::as_str).collect::<Vec<_>>(), ["a"]);
        assert_eq!(second["a"].settings().max_queue, 2);
        assert_eq!(second["a"].settings().max_retries, Settings::default().max_retries);
    }
}
