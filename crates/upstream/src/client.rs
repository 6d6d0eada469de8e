//! The MCP client: lists and calls the tools of an upstream over streamable HTTP.
//!
//! Owns deadlines, pagination and the one case in which a request is repeated: the upstream turned it away
//! because it no longer knows the session, before any method ran. Never repeats a call that may have run, never
//! interprets a tool or a result beyond its outermost fields.
//!
//! Calls are cancelled by dropping their future; an open session is told so and closed in the background.

mod message;
mod session;
mod sse;
mod transport;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde::Serialize;
use toolplane_registry::upstream::SessionMode;
use toolplane_registry::{Domain, RawJson};
use tracing::{Instrument as _, field};

use self::message::{CallParams, ListParams};
use self::session::{Lease, Sessions};
use self::transport::Transport;
use crate::{Connector, Error};

pub use self::message::ToolResult;

/// An upstream as one request reaches it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub url: String,
    /// Sent with every HTTP request of the exchange; see [`crate::auth::outgoing_headers`].
    pub headers: HeaderMap,
    /// How sessions are used, should it ask for them.
    pub session_mode: SessionMode,
    /// Identifies its configuration. What is remembered about an upstream is forgotten when this changes.
    pub config_id: String,
    /// Named in spans.
    pub domain: Option<Domain>,
}

/// A call of one tool.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// The tool's original name.
    pub name: String,
    /// The arguments object; absent is sent as `{}`.
    pub arguments: Option<RawJson>,
    /// The caller's `_meta`; absent stays absent.
    pub meta: Option<RawJson>,
}

/// What an upstream listed.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The tools, as they were sent.
    pub tools: Vec<RawJson>,
    /// The name the server gives itself; hostile text until somebody has cleaned it.
    pub server_name: Option<String>,
}

/// Lists and calls tools. Clones share connections and sessions.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<Transport>,
    sessions: Arc<Sessions>,
}

impl Target {
    /// A target with nothing but an address.
    pub fn plain(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: HeaderMap::new(),
            session_mode: SessionMode::default(),
            config_id: String::new(),
            domain: None,
        }
    }
}

impl Client {
    /// A client that connects through `connector`.
    pub fn new(connector: Connector) -> Self {
        let transport = Arc::new(Transport::new(connector));
        let sessions = Arc::new(Sessions::new(Arc::clone(&transport)));
        Self { transport, sessions }
    }

    /// Lists all tools, page by page.
    pub async fn list_tools(&self, target: &Target, deadline: Duration) -> Result<Listing, Error> {
        let domain = target.domain.as_ref().map(field::display);
        let span = tracing::info_span!("upstream.list_tools", upstream.domain = domain);
        within(deadline, self.list_pages(target)).instrument(span).await
    }

    /// Calls one tool, at most once.
    pub async fn call_tool(
        &self,
        target: &Target,
        call: &ToolCall,
        deadline: Duration,
    ) -> Result<ToolResult, Error> {
        let domain = target.domain.as_ref().map(field::display);
        let span = tracing::info_span!("upstream.call_tool", upstream.domain = domain);
        let params = CallParams::new(call);
        let answered = async {
            let (_lease, result) = self.request(target, "tools/call", &params).await?;
            message::parse_tool_result(&result)
        };
        within(deadline, answered).instrument(span).await
    }

    /// Closes the sessions that are held open and waits for what runs in the background, a bounded time.
    pub async fn close(&self) {
        self.sessions.clear();
        self.transport.close().await;
    }

    async fn list_pages(&self, target: &Target) -> Result<Listing, Error> {
        let options = self.transport.options();
        let (lease, first) = self.request(target, "tools/list", &ListParams::first()).await?;
        let mut bytes = first.get().len();
        let mut page = message::parse_page(&first)?;
        let mut tools = std::mem::take(&mut page.tools);
        let enough = |tools: &Vec<RawJson>| {
            let limit = options.max_listing_tools;
            if tools.len() > limit { Err(Error::TooLarge { limit, unit: "tools" }) } else { Ok(()) }
        };
        enough(&tools)?;
        let mut seen = HashSet::new();
        while let Some(cursor) = page.next_cursor.take() {
            let params = ListParams::after(&cursor);
            if seen.len() + 1 >= options.max_listing_pages {
                return Err(Error::TooLarge { limit: options.max_listing_pages, unit: "pages" });
            }
            let next = lease.request("tools/list", &params).await?;
            if !seen.insert(cursor) {
                return Err(Error::Protocol("the listing repeats a cursor".to_owned()));
            }
            bytes = bytes.saturating_add(next.get().len());
            if bytes > options.max_response_bytes {
                return Err(Error::TooLarge { limit: options.max_response_bytes, unit: "bytes" });
            }
            page = message::parse_page(&next)?;
            tools.append(&mut page.tools);
            enough(&tools)?;
        }
        Ok(Listing { tools, server_name: lease.server_name().map(ToOwned::to_owned) })
    }

    /// Sends one request in a session. Where a *reused* session turns out to be unknown, opens another and sends
    /// the request again, once: the transport refused it, so nothing has run.
    async fn request(
        &self,
        target: &Target,
        method: &'static str,
        params: &(impl Serialize + Sync),
    ) -> Result<(Lease, message::Raw), Error> {
        let lease = self.sessions.acquire(target).await?;
        match lease.request(method, params).await {
            Err(error) if error.is_lost_session() && lease.is_reused() => {
                self.sessions.forget(&lease);
                let lease = self.sessions.acquire(target).await?;
                let result = lease.request(method, params).await?;
                Ok((lease, result))
            }
            Err(error) => Err(error),
            Ok(result) => Ok((lease, result)),
        }
    }
}

async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(deadline, work).await.unwrap_or(Err(Error::Timeout))
}
