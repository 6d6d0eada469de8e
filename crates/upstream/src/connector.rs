//! The one HTTP client that reaches upstreams.
//!
//! Owns the connection pool, TLS, time and size limits, and the enforcement of the url guard: literal addresses
//! are checked before each request, names when they are resolved for a connection. Follows no redirect, uses no
//! proxy, keeps no cookie. Never interprets a body; that is [`crate::client`].

mod resolver;
mod special;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::redirect;
use rustls::{ClientConfig, RootCertStore};

use self::resolver::{GuardedResolver, Refused};
use self::special::{Special, Specials};
use crate::Error;
use crate::guard::{self, Policy};
use crate::limits::Timeouts;

/// How much of an announced body is believed in before it arrives.
const MAX_TRUSTED_BYTES: usize = 256 << 10;

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

/// A guarded, pooled HTTP client. Clones share the pool.
#[derive(Debug, Clone)]
pub struct Connector {
    http: reqwest::Client,
    options: Arc<Options>,
    tls: ClientConfig,
    resolver: Arc<GuardedResolver>,
    specials: Specials,
}

/// A reply whose body is still to be read, in bounded steps.
#[derive(Debug)]
pub(crate) struct Response {
    inner: reqwest::Response,
    read: usize,
    limit: usize,
    /// Longest pause between two pieces.
    idle: Option<Duration>,
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
        let (tls, resolver) = (tls()?, Arc::new(resolver));
        let http = connect(&options, &tls, &resolver, options.connect_timeout)?;
        Ok(Self { http, options: Arc::new(options), tls, resolver, specials: Specials::default() })
    }

    /// Gives addresses limits of their own, in place of those given before. Exchanges under way keep what they have.
    pub fn set_timeouts(&self, by_url: impl Iterator<Item = (String, Timeouts)>) -> Result<(), Error> {
        self.specials.set(by_url, |limit| connect(&self.options, &self.tls, &self.resolver, limit))
    }

    /// The limits it was built with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Sends one request and waits for the head of its reply.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, Error> {
        let Special { timeouts, http } = self.specials.of(url);
        // Literal addresses never reach the resolver, so they are checked here, each time.
        let url = guard::check_url(url, &self.options.guard).map_err(Error::Refused)?;
        let http = http.as_ref().unwrap_or(&self.http);
        let request = http.request(method, url).headers(headers).body(body);
        let inner = within(timeouts.first_byte, request.send()).await?;
        let limit = self.options.max_response_bytes;
        Ok(Response { inner, read: 0, limit, idle: timeouts.idle })
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

    /// The next piece of the body.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(chunk) = within(self.idle, self.inner.chunk()).await? else {
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
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn too_large(&self) -> Error {
        Error::TooLarge { limit: self.limit, unit: "bytes" }
    }
}

/// The HTTP client itself.
#[expect(clippy::disallowed_methods, reason = "the one place that may: everything leaves through here")]
fn connect(
    options: &Options,
    tls: &ClientConfig,
    resolver: &Arc<GuardedResolver>,
    limit: Duration,
) -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(Arc::clone(resolver))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .tcp_nodelay(true)
        .user_agent(concat!("toolplane/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limit)
        .timeout(options.total_timeout)
        .pool_idle_timeout(options.pool_idle_timeout)
        .pool_max_idle_per_host(options.pool_max_idle_per_host)
        .build()
        .map_err(|error| Error::Setup(innermost(&error)))
}

/// Waits for a part of an exchange, within its limit where there is one.
async fn within<T>(
    limit: Option<Duration>,
    part: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, Error> {
    let outcome = match limit {
        None => part.await,
        Some(limit) => tokio::time::timeout(limit, part).await.map_err(|_| Error::Timeout)?,
    };
    outcome.map_err(|error| classify(&error))
}

/// TLS on ring with the system's certificates. Without any, `https` upstreams fail and plain ones still work.
fn tls() -> Result<ClientConfig, Error> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some system certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "loaded system certificates");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Setup(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn classify(error: &reqwest::Error) -> Error {
    if let Some(refused) = causes(error).find_map(|cause| cause.downcast_ref::<Refused>()) {
        return Error::Refused(refused.0.clone());
    }
    if error.is_connect() {
        let reason = if error.is_timeout() { "timed out".to_owned() } else { innermost(error) };
        return Error::Connect(reason);
    }
    if error.is_timeout() {
        return Error::Timeout;
    }
    if error.is_builder() {
        return Error::Setup(innermost(error));
    }
    Error::Interrupted(innermost(error))
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// The innermost cause: the outer ones of the HTTP client repeat the URL with everything in it.
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "unknown cause".to_owned(), ToString::to_string)
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
        let error =
            connector.send(Method::POST, url, HeaderMap::new(), Bytes::new()).await.map(drop).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, Error::Refused(_)) && text.contains("loopback"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
