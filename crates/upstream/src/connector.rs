//! The one HTTP client that reaches upstreams.
//!
//! Owns the connection pools, time and size limits, and the enforcement of the url guard: literal addresses are checked
//! before each request, names when they are resolved for a connection. All upstreams share a pool, but for those with
//! TLS settings of their own, which share one with nobody but upstreams of the same settings ([`Secured`]). Follows no
//! redirect, uses no proxy, keeps no cookie. Never interprets a body; that is [`crate::client`].

mod failure;
mod resolver;
mod room;
mod secured;
mod special;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::redirect;
use rustls::ClientConfig;
use toolplane_registry::Tls;

use self::resolver::GuardedResolver;
use self::room::Share;
use self::secured::Pools;
use self::special::{Special, Specials};
use self::trust::System;
use crate::Error;
use crate::guard::{self, Policy};
use crate::limits::Timeouts;

pub use self::room::Room;
pub use self::secured::Secured;
pub(crate) use self::trust::provider;

/// How much of an announced body is believed in before it arrives.
const MAX_TRUSTED_BYTES: usize = 256 << 10;
/// How long nothing may come by HTTP/2, where requests wait, before the upstream is asked whether it is still there,
/// and how long it may take to say so. One connection carries all of them, so that one that is dead hurts them all.
const PING_AFTER: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

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
    http: reqwest::Client,
    parts: Arc<Parts>,
    specials: Specials,
    pools: Pools,
}

/// What every pool is made of.
#[derive(Debug)]
struct Parts {
    options: Options,
    system: System,
    /// As the system says. One for all its pools: sessions are resumed across them.
    tls: ClientConfig,
    resolver: Arc<GuardedResolver>,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub(crate) url: &'a str,
    /// Absent: connections are secured as the system says.
    pub(crate) tls: Option<&'a Secured>,
}

/// A reply whose body is still to be read, in bounded steps.
#[derive(Debug)]
pub(crate) struct Response {
    inner: reqwest::Response,
    read: usize,
    limit: usize,
    /// Longest pause between two pieces.
    idle: Option<Duration>,
    share: Share,
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
        let resolver = GuardedResolver::new(options.guard.clone());
        Self::with_resolver(options, resolver)
    }

    fn with_resolver(options: Options, resolver: GuardedResolver) -> Result<Self, Error> {
        let system = System::load();
        let tls = system.config()?;
        let parts = Parts { options, system, tls, resolver: Arc::new(resolver) };
        let http = parts.connect(parts.tls.clone(), parts.options.connect_timeout)?;
        Ok(Self { http, parts: Arc::new(parts), specials: Specials::default(), pools: Pools::default() })
    }

    /// Gives addresses limits of their own, in place of those given before. Exchanges under way keep what they have.
    pub fn set_timeouts(&self, by_url: impl Iterator<Item = (String, Timeouts)>) -> Result<(), Error> {
        self.specials.set(by_url, |limit| self.parts.connect(self.parts.tls.clone(), limit))
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
        let Destination { url, tls } = destination;
        let Special { timeouts, http } = self.specials.of(url);
        // Literal addresses never reach the resolver, so they are checked here, each time.
        let url = guard::check_url(url, &self.options().guard).map_err(Error::Refused)?;
        let http = match tls {
            Some(secured) => secured.http(&self.parts)?,
            None => http.as_ref().unwrap_or(&self.http),
        };
        let request = http.request(method, url).headers(headers).body(body);
        let has_own_ca = tls.is_some_and(Secured::has_own_ca);
        let inner = within(timeouts.first_byte, request.send(), has_own_ca).await?;
        let limit = self.options().max_response_bytes;
        Ok(Response { inner, read: 0, limit, idle: timeouts.idle, share: Share::default() })
    }
}

// ---- Response ----

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.inner.status().as_u16()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// Lowers how much may be read.
    pub(crate) fn limit_to(&mut self, limit: usize) {
        self.limit = self.limit.min(limit);
    }

    /// Has what is held of the body counted, from here on.
    pub(crate) fn count_in(&mut self, room: Arc<dyn Room>) {
        self.share = Share::of(room);
    }

    /// Notes how much of the body its reader holds, or is about to.
    pub(crate) fn hold(&mut self, held: usize) -> Result<(), Error> {
        self.share.hold(held)
    }

    /// What is held has become somebody else's; nothing that follows is counted.
    pub(crate) fn hand_on(&mut self) {
        self.share.hand_on();
    }

    /// The next piece of the body.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(chunk) = within(self.idle, self.inner.chunk(), false).await? else {
            return Ok(None);
        };
        self.read = self.read.saturating_add(chunk.len());
        if self.read > self.limit {
            return Err(self.too_large());
        }
        Ok(Some(chunk))
    }

    /// The rest of the body.
    pub(crate) async fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        let announced = usize::try_from(self.inner.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > self.limit {
            return Err(self.too_large());
        }
        // What is announced is not yet sent: memory grows with what arrives.
        let mut body = Vec::with_capacity(announced.min(MAX_TRUSTED_BYTES));
        while let Some(chunk) = self.chunk().await? {
            self.hold(body.len() + chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        self.hand_on();
        Ok(body)
    }

    fn too_large(&self) -> Error {
        Error::TooLarge { limit: self.limit, unit: "bytes" }
    }
}

// ---- Parts ----

impl Parts {
    /// A pool.
    #[expect(clippy::disallowed_methods, reason = "the one place that may: everything leaves through here")]
    fn connect(&self, tls: ClientConfig, limit: Duration) -> Result<reqwest::Client, Error> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::clone(&self.resolver))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PONG_WITHIN)
            .user_agent(concat!("toolplane/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limit)
            .timeout(self.options.total_timeout)
            .pool_idle_timeout(self.options.pool_idle_timeout)
            .pool_max_idle_per_host(self.options.pool_max_idle_per_host)
            .build()
            .map_err(|error| failure::setup(&error))
    }
}

/// Waits for a part of an exchange, within its limit where there is one.
async fn within<T>(
    limit: Option<Duration>,
    part: impl Future<Output = Result<T, reqwest::Error>>,
    has_own_ca: bool,
) -> Result<T, Error> {
    let outcome = match limit {
        None => part.await,
        Some(limit) => tokio::time::timeout(limit, part).await.map_err(|_| Error::Timeout)?,
    };
    outcome.map_err(|error| failure::classify(&error, has_own_ca))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that passes the check of the URL and leads to an address that must not be connected to.
    #[tokio::test]
    async fn a_name_is_refused_by_the_address_it_leads_to() {
        let resolver = GuardedResolver::new(Policy { allow_private: false });
        let connector = Connector::with_resolver(Options::default(), resolver).unwrap();
        let url = "http://localhost:9/mcp?token=s3cret";
        let destination = Destination { url, tls: None };
        let sent = connector.send(Method::POST, destination, HeaderMap::new(), Bytes::new()).await;
        let error = sent.map(drop).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, Error::Refused(_)) && text.contains("loopback"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
