//! The one HTTP client that reaches upstreams.
//!
//! Owns the connection pools, time and size limits, and the enforcement of the url guard: what is written down is checked
//! when an address is read, and every address again when it is connected to. All upstreams share a pool, but for those
//! with TLS settings of their own, which share one with nobody but upstreams of the same settings ([`Secured`]). Follows
//! no redirect, uses no proxy, keeps no cookie. Never interprets a body; that is [`crate::client`].
//!
//! # Layout
//!
//! `place` is an address, `ways` those of a snapshot; `dial` connects, `turns` says who does for all, `line` and `pool`
//! keep connections, `exchange` is one request over one of them, `response` reads what comes back, and `failure` says
//! what went wrong.

mod dial;
mod exchange;
mod failure;
mod line;
mod place;
mod pool;
mod response;
mod room;
mod secured;
mod trust;
mod turns;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Full;
use tokio::time::{Instant, timeout_at};
use toolplane_registry::Tls;

use self::pool::Pool;
use self::response::Limits;
use self::secured::Pools;
use self::trust::System;
use self::ways::Ways;
use crate::Error;
use crate::guard::Policy;
use crate::limits::Timeouts;

pub(crate) use self::response::Response;
pub use self::room::{Room, Share};
pub use self::secured::Secured;
pub(crate) use self::trust::provider;

/// Who asks, where the caller has not said it.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("toolplane/", env!("CARGO_PKG_VERSION")));

/// Limits and rules of the connector.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which addresses may be connected to.
    pub guard: Policy,
    /// Longest time for resolving, connecting and the TLS handshake together.
    pub connect_timeout: Duration,
    /// Longest time for one HTTP exchange, whatever deadline a call was given.
    pub total_timeout: Duration,
    /// Longest time for closing a session behind a call.
    pub cleanup_timeout: Duration,
    /// How long an idle connection is kept.
    pub pool_idle_timeout: Duration,
    /// How many idle connections are kept per upstream.
    pub pool_max_idle_per_host: usize,
    /// Largest reply, over all its events or pages.
    pub max_response_bytes: usize,
    /// Most pages a listing may have.
    pub max_listing_pages: usize,
    /// Most tools a listing may have.
    pub max_listing_tools: usize,
    /// Most upstreams and sessions that are remembered.
    pub max_remembered: usize,
    /// Most sessions that are opened ahead of need; 0 opens none.
    pub max_spare_sessions: usize,
    /// Most of them for one caller of one upstream.
    pub max_spares_per_caller: usize,
    /// How long one waits for a call before it is ended.
    pub spare_session_ttl: Duration,
}

/// A guarded, pooled HTTP client. Clones share the pools.
#[derive(Debug, Clone)]
pub struct Connector {
    /// Of upstreams without TLS settings of their own.
    common: Pool,
    parts: Arc<Parts>,
    ways: Ways,
    pools: Pools,
}

/// What every pool is made of.
#[derive(Debug)]
struct Parts {
    options: Options,
    system: System,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub(crate) url: &'a str,
    /// Absent: connections are secured as the system says.
    pub(crate) tls: Option<&'a Secured>,
}

// ---- Options ----

impl Default for Options {
    fn default() -> Self {
        Self {
            guard: Policy::default(),
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_mins(5),
            cleanup_timeout: Duration::from_secs(5),
            pool_idle_timeout: Duration::from_secs(30),
            pool_max_idle_per_host: 64,
            max_response_bytes: 16 << 20,
            max_listing_pages: 256,
            max_listing_tools: 10_000,
            max_remembered: 4096,
            max_spare_sessions: 256,
            max_spares_per_caller: 8,
            spare_session_ttl: Duration::from_mins(1),
        }
    }
}

// ---- Connector ----

impl Connector {
    /// Builds the client; reads the system's certificates.
    pub fn new(options: Options) -> Result<Self, Error> {
        let system = System::load();
        let common = Pool::new(Arc::new(system.config()?), &options);
        let parts = Arc::new(Parts { options, system });
        Ok(Self { common, parts, ways: Ways::default(), pools: Pools::default() })
    }

    /// Reads addresses ahead of need and gives them limits of their own, in place of those given before. Exchanges under
    /// way keep what they have.
    pub fn set_timeouts(&self, by_url: impl Iterator<Item = (String, Timeouts)>) {
        self.ways.set(by_url, &self.options().guard, &self.common);
    }

    /// The pool for TLS settings of an upstream's own, there for as long as somebody holds it; `None` where it has none.
    /// `connect` limits connecting in place of the connector's own limit. Costs a hash of the settings: what does not
    /// hold in them is told by the requests that are made with it.
    pub fn secure(&self, tls: &Tls, connect: Option<Duration>) -> Option<Secured> {
        let limit = connect.unwrap_or(self.parts.options.connect_timeout);
        (!tls.is_default()).then(|| self.pools.of(tls, limit))
    }

    /// The limits it was built with.
    pub fn options(&self) -> &Options {
        &self.parts.options
    }

    /// Sends one request and waits for the head of its reply.
    pub(crate) async fn send(
        &self,
        method: Method,
        destination: Destination<'_>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, Error> {
        let Options { guard, connect_timeout, total_timeout, max_response_bytes, .. } = self.options();
        let way = self.ways.to(destination.url, guard, &self.common)?;
        let Timeouts { connect, first_byte, idle } = way.timeouts;
        let (connections, connect) = match destination.tls {
            Some(secured) => (secured.pool(&self.parts)?.shelf(&way.place.origin), secured.connect_timeout()),
            None => (Arc::clone(&way.shelf), connect.unwrap_or(*connect_timeout)),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        complete(request.headers_mut(), way.place.credentials.as_ref());
        let now = Instant::now();
        let until = now + *total_timeout;
        let by = first_byte.map_or(until, |limit| until.min(now + limit));
        let Ok(sent) = timeout_at(by, exchange::send(&connections, &way.place, request, connect)).await
        else {
            return Err(Error::Timeout);
        };
        let has_own_ca = destination.tls.is_some_and(Secured::has_own_ca);
        let response = sent.map_err(|failure| failure::classify(&failure, has_own_ca))?;
        Ok(Response::new(response, Limits { bytes: *max_response_bytes, idle, until }))
    }
}

/// Adds what a request has to say and its maker did not.
fn complete(headers: &mut HeaderMap, credentials: Option<&HeaderValue>) {
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    if let Some(credentials) = credentials {
        headers.entry(AUTHORIZATION).or_insert_with(|| credentials.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that passes the check of the URL and leads to an address that must not be connected to.
    #[tokio::test]
    async fn a_name_is_refused_by_the_address_it_leads_to() {
        let options = Options { guard: Policy { allow_private: false }, ..Options::default() };
        let strict = Connector::new(options).unwrap();
        // The common pool obeys the strict policy, the reading of addresses a lenient one.
        let connector = Connector { common: strict.common, ..Connector::new(Options::default()).unwrap() };
        let url = "http://localhost:9/mcp?token=s3cret";
        let destination = Destination { url, tls: None };
        let sent = connector.send(Method::POST, destination, HeaderMap::new(), Bytes::new()).await;
        let error = sent.map(drop).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, Error::Refused(_)) && text.contains("loopback"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
