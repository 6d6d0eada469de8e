//! What an upstream is to be before it starts.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::script::Script;
use super::{Era, FakeUpstream, Shared, Tls};

/// Describes an upstream before it starts.
#[derive(Debug, Default)]
pub struct Builder {
    script: Script,
    tls: Option<Tls>,
}

impl Builder {
    /// Adds a tool with an open object schema.
    #[must_use]
    pub fn tool(self, name: &str) -> Self {
        self.tool_json(&plain_tool(name))
    }

    /// Adds a tool as raw JSON.
    #[must_use]
    pub fn tool_json(mut self, definition: &str) -> Self {
        self.script.tools.push(definition.to_owned());
        self
    }

    /// Issues no session ids.
    #[must_use]
    pub fn stateless(mut self) -> Self {
        self.script.stateful = false;
        self
    }

    /// Speaks these revisions.
    #[must_use]
    pub fn era(mut self, era: Era) -> Self {
        self.script.era = era;
        self
    }

    /// Adds a tool that answers `{"before":…}`: the arguments that the call before it had in the same session.
    #[must_use]
    pub fn remembering_tool(mut self, name: &str) -> Self {
        self.script.remembering.insert(name.to_owned());
        self.tool(name)
    }

    /// Replies with event streams.
    #[must_use]
    pub fn sse(mut self) -> Self {
        self.script.sse = true;
        self
    }

    /// Sends this text in front of every reply; it makes sense for event streams only. `{token}` in it becomes the
    /// progress token of the request.
    #[must_use]
    pub fn sse_preamble(mut self, text: &str) -> Self {
        text.clone_into(&mut self.script.preamble);
        self.sse()
    }

    /// Lists that many tools per page.
    #[must_use]
    pub fn page_size(mut self, size: usize) -> Self {
        self.script.page_size = size;
        self
    }

    /// Answers every listing with the same next cursor.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.script.endless = true;
        self
    }

    /// Answers 401 without this bearer token.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.script.token = Some(token.to_owned());
        self
    }

    /// Speaks TLS; it is reached as `localhost`.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Scripts the result of a tool as raw JSON.
    #[must_use]
    pub fn result(mut self, tool: &str, result: &str) -> Self {
        self.script.results.insert(tool.to_owned(), result.to_owned());
        self
    }

    /// Listens on a free port of the loopback interface.
    pub async fn start(self) -> FakeUpstream {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut upstream = FakeUpstream {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Shared {
                script: std::sync::Mutex::new(self.script),
                requests: watch::Sender::default(),
                releases: watch::Sender::default(),
                connections: AtomicUsize::new(0),
                abandoned: watch::Sender::default(),
            }),
            stop: CancellationToken::new(),
            serving: JoinSet::new(),
            tls: self.tls.map(|tls| Arc::new(std::sync::Mutex::new(tls.config()))),
        };
        upstream.serve(listener);
        upstream
    }
}

/// A tool with an open object schema.
pub(super) fn plain_tool(name: &str) -> String {
    json!({"name": name, "description": format!("Does {name}."), "inputSchema": {"type": "object"}})
        .to_string()
}
