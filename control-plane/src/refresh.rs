//! Asking upstreams for their tools.
//!
//! Owns the listing of one upstream ([`Lister`]), of many on demand ([`Rounds`]) and of those that are due
//! ([`Schedule`]): concurrently, each with a deadline, each stored as soon as it answers, so that a slow upstream
//! delays nobody. Never decides what of a listing is served; that is pure and happens when a snapshot is built.

mod rounds;
mod schedule;
pub mod token;

use std::time::Duration;

use http::header::AUTHORIZATION;
use tokio::time::Instant;
use toolplane_registry::upstream::{Header, Upstream};
use toolplane_registry::{Protocol, RawJson, Secret};
use toolplane_upstream::client::Target;
use toolplane_upstream::{Client, auth};

pub use rounds::{Answer, Outcome, Parts, Rounds};
pub use schedule::Schedule;
pub use token::TokenSource;

use crate::store::{Listing, Millis};

/// Lists one upstream's tools.
#[derive(Debug, Clone)]
pub struct Lister {
    client: Client,
    deadline: Duration,
    auth_token: TokenSource,
}

/// What an upstream answered.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The tools, exactly as sent.
    pub tools: Vec<RawJson>,
    /// How the address speaks that tools are called at.
    pub protocol: Protocol,
}

impl Lister {
    /// A lister; `auth_token` serves upstreams that have no credentials of their own.
    pub fn new(client: Client, deadline: Duration, auth_token: TokenSource) -> Self {
        Self { client, deadline, auth_token }
    }

    /// Asks for the tools, with the discovery credentials and never with a caller's.
    pub async fn list(&self, upstream: &Upstream) -> Result<Listed, toolplane_upstream::Error> {
        let began = Instant::now();
        let token = self.token(upstream).await?;
        // Whoever provides tokens takes their time from the listing's.
        let deadline = self.deadline.saturating_sub(began.elapsed());
        let target = self.target(upstream, upstream.listing_url(), token.as_ref());
        let listing = self.client.list_tools(&target, deadline);
        if upstream.discovery_url.is_none() {
            let listing = listing.await?;
            return Ok(Listed { tools: listing.tools, protocol: listing.protocol });
        }
        // Calls go elsewhere, and that may speak otherwise. Where it does not say, calls find out.
        let called = self.target(upstream, &upstream.url, token.as_ref());
        let (listing, probed) = futures::join!(listing, self.client.probe(&called, deadline));
        Ok(Listed { tools: listing?.tools, protocol: probed.unwrap_or_default() })
    }

    /// What an upstream without credentials of its own is shown.
    async fn token(&self, upstream: &Upstream) -> Result<Option<Secret>, toolplane_upstream::Error> {
        if upstream.headers.iter().any(|header| header.name == AUTHORIZATION.as_str()) {
            return Ok(None);
        }
        let fetched = self.auth_token.fetch(&upstream.domain, self.deadline).await;
        fetched.map_err(|error| toolplane_upstream::Error::Credentials(error.to_string()))
    }

    fn target(&self, upstream: &Upstream, url: &str, token: Option<&Secret>) -> Target {
        let mut headers = upstream.headers.clone();
        if let Some(token) = token {
            let value = Secret::new(format!("Bearer {}", token.expose()));
            headers.push(Header { name: AUTHORIZATION.to_string(), value });
        }
        Target {
            url: url.to_owned(),
            headers: auth::outgoing_headers(&headers, None, &http::HeaderMap::new(), &[]),
            tls: self.client.secure(&upstream.tls),
            session_mode: upstream.session_mode,
            domain: Some(upstream.domain.clone()),
            ..Target::plain("")
        }
    }
}

/// A listing that succeeded now.
pub fn succeeded(upstream: &Upstream, before: Option<&Listing>, listed: Listed, at: Millis) -> Listing {
    use toolplane_registry::upstream::SchemaPolicy;
    let Listed { tools, protocol } = listed;
    let approved = match upstream.schema_policy {
        SchemaPolicy::Accept => None,
        // What a pinned upstream listed first is what its operator saw when registering it.
        SchemaPolicy::Pin => before
            .filter(|before| before.success_at.is_some())
            .and_then(|before| before.approved.clone().or_else(|| Some(before.tools.clone())))
            .or_else(|| Some(tools.clone())),
    };
    Listing { attempt_at: at, success_at: Some(at), error: String::new(), tools, approved, protocol }
}

/// A listing that failed now and keeps what was known.
pub fn failed(before: Option<&Listing>, error: String, at: Millis) -> Listing {
    match before {
        Some(before) => Listing { attempt_at: at, error, ..before.clone() },
        None => Listing {
            attempt_at: at,
            success_at: None,
            error,
            tools: Vec::new(),
            approved: None,
            protocol: Protocol::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use toolplane_registry::Domain;
    use toolplane_registry::upstream::SchemaPolicy;

    use super::*;

    fn raw(name: &str) -> RawJson {
        RawJson::from(&serde_json::json!({"name": name, "inputSchema": {}}))
    }

    fn listed(name: &str) -> Listed {
        Listed { tools: vec![raw(name)], protocol: Protocol::Stateless }
    }

    #[test]
    fn a_pin_approves_the_first_listing_and_keeps_it() {
        let pinned = Upstream {
            schema_policy: SchemaPolicy::Pin,
            ..Upstream::new(Domain::parse("a").unwrap(), "http://a/mcp")
        };
        let never = failed(None, "away".into(), 1);
        let first = succeeded(&pinned, Some(&never), listed("x"), 2);
        assert_eq!(first.approved, Some(vec![raw("x")]));
        let second = succeeded(&pinned, Some(&first), listed("y"), 3);
        assert_eq!((second.tools, second.approved), (vec![raw("y")], Some(vec![raw("x")])));
    }

    #[test]
    fn a_failure_keeps_the_tools_known() {
        let upstream = Upstream::new(Domain::parse("a").unwrap(), "http://a/mcp");
        let before = succeeded(&upstream, None, listed("x"), 1);
        let after = failed(Some(&before), "away".into(), 2);
        assert_eq!((after.tools, after.success_at, after.error.as_str()), (vec![raw("x")], Some(1), "away"));
        assert_eq!(after.protocol, Protocol::Stateless);
    }
}
