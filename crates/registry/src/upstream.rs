//! What an operator registers: an upstream with its address, credentials and rules.
//!
//! Owns the plain data and its defaults. Never connects to anything, never checks an address (that is the url
//! guard of `toolplane-upstream`), never stores.

use crate::{Domain, Limits, OAuth, Secret, Tls};

/// A configured header: the name in lower case, the value a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Lower-case header name.
    pub name: String,
    /// The value; leaves only towards the upstream.
    pub value: Secret,
}

/// What happens when an upstream lists a changed or new tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaPolicy {
    /// The change applies and is recorded.
    #[default]
    Accept,
    /// The approved form stays, a new tool stays hidden, until the new digest is accepted.
    Pin,
}

/// How sessions of a session-keeping upstream are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionMode {
    /// Each call has a session of its own, so that no state leaks between callers.
    #[default]
    Isolated,
    /// Calls with the same credentials share a session.
    Shared,
}

/// Who declared an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// An API call; it stays until an API call removes it.
    #[default]
    Api,
    /// The environment of the process; reconciled at every start.
    Environment,
}

/// Tool filters of one upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolFilter {
    /// Globs of which a tool must match at least one; absent admits every tool.
    pub allowed: Option<Vec<String>>,
    /// Globs of which a tool must match none.
    pub denied: Vec<String>,
}

/// An upstream MCP server as registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its public key.
    pub domain: Domain,
    /// Where its tools are called.
    pub url: String,
    /// Where its tools are listed, when that is elsewhere.
    pub discovery_url: Option<String>,
    /// Shown to clients in the summary and the instructions.
    pub description: String,
    /// Sent with every request to it.
    pub headers: Vec<Header>,
    /// How connections to it are secured, where the system does not say.
    pub tls: Tls,
    /// How a token for listing its tools is obtained, where it has to be.
    pub oauth: OAuth,
    /// Globs over the caller's header names that may pass through; absent passes all that may pass at all.
    pub forward_headers: Option<Vec<String>>,
    /// Which of its tools are admitted.
    pub filter: ToolFilter,
    /// What a changed listing does.
    pub schema_policy: SchemaPolicy,
    /// How its sessions are used.
    pub session_mode: SessionMode,
    /// How much of a node it may take; what is absent follows the node.
    pub limits: Limits,
    /// Who declared it.
    pub owner: Owner,
}

impl Upstream {
    /// An upstream with nothing but a name and an address.
    pub fn new(domain: Domain, url: impl Into<String>) -> Self {
        Self {
            domain,
            url: url.into(),
            discovery_url: None,
            description: String::new(),
            headers: Vec::new(),
            tls: Tls::default(),
            oauth: OAuth::default(),
            forward_headers: None,
            filter: ToolFilter::default(),
            schema_policy: SchemaPolicy::default(),
            session_mode: SessionMode::default(),
            limits: Limits::default(),
            owner: Owner::default(),
        }
    }

    /// The address its tools are listed at.
    pub fn listing_url(&self) -> &str {
        self.discovery_url.as_deref().unwrap_or(&self.url)
    }
}
