//! What upstreams are shown when they are listed, beyond the headers that were configured for them.
//!
//! Owns the order in which a bearer token is looked for: an upstream that is configured with an `authorization` header
//! is shown that and nothing else; one with OAuth client credentials gets a token of its own; all others get what is
//! shared by all of them, if anything is. Never sends anything to an upstream; that is [`crate::refresh`].

mod file;
mod service;
mod tokens;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use tokio::time::Instant;
use toolplane_registry::upstream::{Header, Upstream};
use toolplane_registry::{Domain, Secret};
use toolplane_upstream::Client;

pub use self::service::TokenService;
use self::tokens::{Token, Tokens};
use crate::metrics::Metrics;

/// Fetches the token for upstreams that have no credentials of their own, each time that one is about to be listed.
#[async_trait]
pub trait TokenProvider: fmt::Debug + Send + Sync {
    /// The token, without `Bearer `; absent: none is shown. A reason goes to operators and must not hold a secret.
    async fn fetch(&self, domain: &Domain) -> Result<Option<Secret>, String>;
}

/// What is shown to upstreams that have no credentials of their own.
#[derive(Debug, Clone)]
pub enum Shared {
    /// One token for as long as the process runs.
    Token(Secret),
    /// What a file holds at the moment of listing.
    File(PathBuf),
    /// Whatever somebody else says then.
    Provider(Arc<dyn TokenProvider>),
}

/// Why there is nothing to show to an upstream, so that it is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no token to list it with: {0}")]
pub struct Error(String);

/// Looks for what to show. Clones share the tokens that were obtained.
#[derive(Debug, Clone)]
pub struct Credentials {
    shared: Option<Shared>,
    tokens: Tokens,
}

/// What one listing shows.
#[derive(Debug)]
pub(crate) enum Shown {
    /// Nothing but what is configured.
    Configured,
    /// A token that is shared with other upstreams.
    Shared(Secret),
    /// A token of this upstream's own.
    Own(Token),
}

/// Waits for credentials until a moment: others may be asking for the same, and a provider may hang.
pub(crate) async fn by<T>(
    ends_at: Instant,
    credentials: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let late = || Error("it did not come in time".to_owned());
    tokio::time::timeout_at(ends_at, credentials).await.unwrap_or_else(|_| Err(late()))
}

impl Credentials {
    /// `deadline` is that of a listing, of which asking for a token may take a part.
    pub fn new(client: Client, shared: Option<Shared>, deadline: Duration, metrics: Metrics) -> Self {
        Self { shared, tokens: Tokens::new(client, deadline, metrics) }
    }

    /// What an upstream is shown now.
    pub(crate) async fn shown(&self, upstream: &Upstream) -> Result<Shown, Error> {
        if upstream.headers.iter().any(|header| header.name == AUTHORIZATION.as_str()) {
            return Ok(Shown::Configured);
        }
        if !upstream.oauth.is_default() {
            return self.tokens.of(upstream, None).await.map(Shown::Own).map_err(Error);
        }
        let token = match &self.shared {
            None => None,
            Some(Shared::Token(token)) => Some(token.clone()),
            Some(Shared::File(path)) => Some(file::read(path).await.map_err(Error)?),
            Some(Shared::Provider(provider)) => provider.fetch(&upstream.domain).await.map_err(Error)?,
        };
        Ok(token.map_or(Shown::Configured, Shown::Shared))
    }

    /// What to show in place of something that the upstream has refused; `None` where there is nothing better.
    pub(crate) async fn instead_of(
        &self,
        refused: &Shown,
        upstream: &Upstream,
    ) -> Result<Option<Shown>, Error> {
        match refused {
            // Another one that is as new would be refused as well.
            Shown::Own(token) if !token.is_new => {
                let token = self.tokens.of(upstream, Some(token)).await.map_err(Error)?;
                Ok(Some(Shown::Own(token)))
            }
            Shown::Own(_) | Shown::Shared(_) | Shown::Configured => Ok(None),
        }
    }
}

impl Shown {
    /// As a header beside the configured ones.
    pub(crate) fn header(&self) -> Option<Header> {
        let token = match self {
            Self::Configured => return None,
            Self::Shared(token) => token,
            Self::Own(token) => &token.secret,
        };
        let value = Secret::new(format!("Bearer {}", token.expose()));
        Some(Header { name: AUTHORIZATION.to_string(), value })
    }
}
