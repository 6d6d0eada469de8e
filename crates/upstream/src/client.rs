//! The MCP client: lists and calls the tools of an upstream over streamable HTTP.
//!
//! Owns deadlines, pagination and the one case in which a request is repeated: the upstream turned it away before
//! any method ran, because it no longer knows the session or speaks otherwise than was told. Never repeats a call
//! that may have run, never interprets a tool or a result beyond its outermost fields.
//!
//! Calls are cancelled by dropping their future; an open session is told so and closed in the background.

mod era;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod identity;
mod listing;
mod message;
mod note;
mod probe;
mod result;
mod resume;
mod session;
mod spares;
mod sse;
mod stateless;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::watch;
use toolplane_registry::upstream::SessionMode;
use toolplane_registry::{Domain, OAuth, Protocol, RawJson, Tls};
use tracing::{Instrument as _, field};

use self::era::{Next, Step, Trail};
use self::message::Ask;
use self::session::Sessions;
use self::transport::{Peer, Transport};
use crate::connector::{Room, Secured};
use crate::{Connector, Error, oauth};

pub use self::listing::Listing;
pub use self::note::{Listen, Note};
pub use self::result::{Answer, InputRequired, ToolResult};
pub use self::spares::SpareSessions;

/// An upstream as one request reaches it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub url: String,
    /// Sent with every HTTP request of the exchange; see [`crate::auth::outgoing_headers`].
    pub headers: HeaderMap,
    /// The pool for its own TLS settings, see [`Connector::secure`]; absent: connections are secured as the system says.
    pub tls: Option<Secured>,
    /// How sessions are used, should it ask for them.
    pub session_mode: SessionMode,
    /// Identifies its configuration. What is remembered about an upstream is forgotten when this changes.
    pub config_id: String,
    /// What it was found to speak when its tools were listed. Calls that find it otherwise go on as they can.
    pub protocol: Protocol,
    /// Named in spans.
    pub domain: Option<Domain>,
}

/// A call of one tool.
#[derive(Debug, Clone, Default)]
pub struct ToolCall {
    /// The tool's original name.
    pub name: String,
    /// The arguments object; absent is sent as `{}`.
    pub arguments: Option<RawJson>,
    /// The caller's `_meta`; absent stays absent.
    pub meta: Option<RawJson>,
    /// The tool's input schema: it may ask for arguments to be repeated in headers.
    pub input_schema: Option<RawJson>,
    /// What the caller could be asked while the tool runs: its capabilities, as far as they may be told to the
    /// upstream. Only in the stateless revision.
    pub capabilities: Option<RawJson>,
    /// The caller's answers to what the tool asked before. Only in the stateless revision.
    pub input_responses: Option<RawJson>,
    /// What came with the question. Only in the stateless revision.
    pub request_state: Option<String>,
    /// The least severe log messages that the caller wants. Only in the stateless revision.
    pub log_level: Option<String>,
    /// Who hears what the upstream says meanwhile; absent: nobody.
    pub listener: Option<Arc<dyn Listen>>,
    /// Where a large reply has to fit in; absent: the connector's own limit is all. What a reply takes stays taken once
    /// it was read to its end: giving that back is for whoever has the room.
    pub room: Option<Arc<dyn Room>>,
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
            tls: None,
            session_mode: SessionMode::default(),
            config_id: String::new(),
            protocol: Protocol::default(),
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

    /// The pool for TLS settings of an upstream's own, with the usual limit on connecting; see [`Connector::secure`].
    pub fn secure(&self, tls: &Tls) -> Option<Secured> {
        self.transport.secure(tls)
    }

    /// Asks a token endpoint for a token. Nothing is kept, and nothing is tried again.
    pub async fn fetch_token(&self, oauth: &OAuth, deadline: Duration) -> Result<oauth::Grant, oauth::Error> {
        let span = tracing::info_span!("upstream.fetch_token");
        oauth::fetch(self.transport.connector(), oauth, deadline).instrument(span).await
    }

    /// Finds out how an upstream speaks, and lists all its tools, page by page. Whatever the target says of its
    /// protocol is not relied on.
    pub async fn list_tools(&self, target: &Target, deadline: Duration) -> Result<Listing, Error> {
        let domain = target.domain.as_ref().map(field::display);
        let span =
            tracing::info_span!(target: "toolplane::spans", "upstream.list_tools", upstream.domain = domain);
        let listing = async {
            let found = probe::find(&self.sessions, &self.transport, target, deadline).await?;
            listing::read(self.transport.options(), found).await
        };
        // Boxed: listings are seldom, and long.
        within(deadline, Box::pin(listing)).instrument(span).await
    }

    /// Finds out how an upstream speaks, and nothing else.
    pub async fn probe(&self, target: &Target, deadline: Duration) -> Result<Protocol, Error> {
        let found = Box::pin(probe::find(&self.sessions, &self.transport, target, deadline));
        Ok(within(deadline, found).await?.lease.protocol())
    }

    /// Calls one tool, at most once.
    pub async fn call_tool(
        &self,
        target: &Target,
        call: &ToolCall,
        deadline: Duration,
    ) -> Result<Answer, Error> {
        let domain = target.domain.as_ref().map(field::display);
        let span =
            tracing::info_span!(target: "toolplane::spans", "upstream.call_tool", upstream.domain = domain);
        within(deadline, self.call(target, Ask::Call(call))).instrument(span).await
    }

    /// How many sessions were opened ahead of need and wait for a call.
    pub fn spare_sessions(&self) -> watch::Receiver<usize> {
        self.sessions.spares()
    }

    /// The same per upstream, for whoever exports it.
    pub fn spare_sessions_by_domain(&self) -> SpareSessions {
        self.sessions.spares_by_domain()
    }

    /// Opens no more sessions ahead of need and ends those that wait for a call. Calls go on.
    pub fn close_spares(&self) {
        self.sessions.close_spares();
    }

    /// Ends the sessions that are held open and waits for what runs in the background, a bounded time.
    pub async fn close(&self) {
        self.sessions.clear();
        self.transport.close().await;
    }

    /// Sends a request, and again where a refusal shows that nothing ran; see [`era`] for the rule.
    async fn call(&self, target: &Target, ask: Ask<'_>) -> Result<Answer, Error> {
        let mut trail = Trail::default();
        let mut protocol = self.sessions.protocol(target);
        loop {
            let (step, error) = match self.sessions.acquire(target, protocol).await {
                Err(error) => (Step::Handshake, error),
                Ok(lease) => match lease.request(ask).await {
                    Ok(result) => {
                        self.sessions.learn(target, lease.protocol());
                        return result::parse_answer(&result);
                    }
                    Err(error) => {
                        if era::is_unread(&error) {
                            self.sessions.forget(&lease);
                        }
                        (lease.step(), error)
                    }
                },
            };
            protocol = match trail.next(step, &error) {
                Next::Handshake => Protocol::Unknown,
                Next::Stateless => Protocol::Stateless,
                Next::GiveUp => return Err(Box::pin(self.explain(target, step, error)).await),
            };
        }
    }

    /// A better reason for a refusal, where there is one.
    async fn explain(&self, target: &Target, step: Step, error: Error) -> Error {
        let is_suspect = match error {
            Error::Status(405) => true,
            Error::Status(400 | 404) => step == Step::Handshake,
            _ => false,
        };
        let peer = Peer::new(target);
        if is_suspect && Box::pin(self.transport.is_old_transport(&peer)).await {
            Error::OldTransport
        } else {
            error
        }
    }
}

async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(deadline, work).await.unwrap_or(Err(Error::Timeout))
}
