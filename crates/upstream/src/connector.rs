//! The one HTTP client that reaches upstreams.
//!
//! Owns the connection pool, TLS, time and size limits, and the enforcement of the url guard: literal addresses
//! are checked before each request, names when they are resolved for a connection. Follows no redirect, uses no
//! proxy, keeps no cookie. Never interprets a body; that is [`crate::client`].

mod resolver;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::redirect;
use rustls::{ClientConfig, RootCertStore};

use self::resolver::{GuardedResolver, Refused};
use crate::Error;
use crate::guard::{self, Policy};

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
}

/// A guarded, pooled HTTP client. Clones share the pool.
#[derive(Debug, Clone)]
pub struct Connector {
    http: reqwest::Client,
    options: Arc<Options>,
}

/// A reply whose body is still to be read, in bounded steps.
#[derive(Debug)]
pub(crate) struct Response {
    inner: reqwest::Response,
    read: usize,
    limit: usize,
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

    #[expect(clippy::disallowed_methods, reason = "the one place that may: everything leaves through here")]
    fn with_resolver(options: Options, resolver: GuardedResolver) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .dns_resolver(resolver)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            .user_agent(concat!("toolplane/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .timeout(options.total_timeout)
            .pool_idle_timeout(options.pool_idle_timeout)
            .pool_max_idle_per_host(options.pool_max_idle_per_host)
            .build()
            .map_err(|error| Error::Setup(innermost(&error)))?;
        Ok(Self { http, options: Arc::new(options) })
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
        // Literal addresses never reach the resolver, so they are checked here, each time.
        let url = guard::check_url(url, &self.options.guard).map_err(Error::Refused)?;
        let request = self.http.request(method, url).headers(headers).body(body);
        let inner = request.send().await.map_err(|error| classify(&error))?;
        Ok(Response { inner, read: 0, limit: self.options.max_response_bytes })
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
        let Some(chunk) = self.inner.chunk().await.map_err(|error| classify(&error))? else {
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
        let mut body = Vec::with_capacity(announced);
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn too_large(&self) -> Error {
        Error::TooLarge { limit: self.limit, unit: "bytes" }
    }
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
