//! The registries that gateways are given: which domains, and what their upstreams list.

use super::subject::Domain;
use crate::static_upstream::Era;
use crate::static_upstream::catalog::{self, FIXTURE};

/// Servers in the corpus.
const SERVERS: usize = 70;

/// One domain for each way of speaking to an upstream, with tools to call.
pub(crate) fn fixtures() -> Vec<Domain> {
    let domain = |era: Era| (era.name().to_owned(), era, FIXTURE.to_owned());
    [Era::Stateless, Era::Handshake, Era::Sessions].map(domain).to_vec()
}

/// 527 tools in 70 domains.
pub(super) fn corpus() -> Vec<Domain> {
    (0..SERVERS).map(catalog::server).map(stateless).collect()
}

/// The same, and tools to call.
pub(super) fn corpus_to_call() -> Vec<Domain> {
    let era = Era::Stateless;
    corpus().into_iter().chain([(era.name().to_owned(), era, FIXTURE.to_owned())]).collect()
}

/// The same, on upstreams with a handshake.
pub(super) fn corpus_with_handshake() -> Vec<Domain> {
    let servers = (0..SERVERS).map(catalog::server).map(|name| (name.clone(), Era::Handshake, name));
    servers.chain([(Era::Handshake.name().to_owned(), Era::Handshake, FIXTURE.to_owned())]).collect()
}

/// 1,000 tools in each of some domains, at most 10.
pub(super) fn thousands(domains: usize) -> Vec<Domain> {
    (0..domains.min(catalog::THOUSANDS)).map(catalog::thousand).map(stateless).collect()
}

/// One domain of 1,000 tools.
pub(super) fn one_thousand() -> Vec<Domain> {
    let name = catalog::thousand(0);
    vec![(name.clone(), Era::Handshake, name)]
}

fn stateless(name: String) -> Domain {
    (name.clone(), Era::Stateless, name)
}
