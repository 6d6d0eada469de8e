//! Name resolution that obeys the url guard, so that the address checked is the address connected to.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use toolplane_registry::Rejection;

use crate::guard::{self, Policy};

/// Resolves with the system and drops every address that the guard refuses.
#[derive(Debug)]
pub(super) struct GuardedResolver {
    policy: Policy,
}

/// All addresses of a name were refused. Found again among the causes of the HTTP client's error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) Rejection);

impl GuardedResolver {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut permitted: Vec<SocketAddr> = Vec::new();
            let mut refused = None;
            for address in found {
                match guard::check_addr(address.ip(), &policy) {
                    Ok(()) => permitted.push(address),
                    Err(rejection) => refused = Some(rejection),
                }
            }
            match refused {
                Some(rejection) if permitted.is_empty() => Err(Refused(rejection).into()),
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}
