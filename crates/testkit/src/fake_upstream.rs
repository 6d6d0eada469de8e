//! A scripted MCP server over streamable HTTP.
//!
//! Speaks the handshake revisions, with or without sessions, the stateless one, or both, in JSON or event streams.
//! Records every request, misbehaves on demand, and stops when dropped. A tool answers with one text block that holds
//! `{"tool":…,"arguments":…}` unless a result was scripted for it.
//!
//! ```
//! # async fn example() {
//! use toolplane_testkit::fake_upstream::{Fault, FakeUpstream};
//!
//! let upstream = FakeUpstream::builder().tool("search").stateless().start().await;
//! upstream.fault("tools/call", Fault::Status(503));
//! // … call it at upstream.url() …
//! upstream.wait_for("tools/call", 1).await;
//! assert_eq!(upstream.count("initialize"), 1);
//! # }
//! ```

mod builder;
mod fault;
mod script;
mod serve;
mod stateless;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::serve::ListenerExt as _;
use http::{HeaderMap, Version};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::builder::Builder;
use self::builder::plain_tool;
pub use self::fault::Fault;
pub use self::script::Era;
use self::script::Script;
pub use self::tls::Tls;

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The JSON-RPC method, `(response)` for a message without one, or the HTTP method in parentheses.
    pub method: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The version of HTTP that it came by.
    pub http: Version,
    /// `params` as they were sent, of a message without a method its `error`; `null` when absent.
    pub params: String,
}

/// A running upstream.
#[derive(Debug)]
pub struct FakeUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    serving: JoinSet<()>,
    tls: Option<tls::Current>,
}

/// What the server and its owner both hold.
#[derive(Debug)]
struct Shared {
    script: std::sync::Mutex<Script>,
    requests: watch::Sender<Vec<Recorded>>,
    /// Counts releases; a hanging request waits for the next one.
    releases: watch::Sender<u64>,
    connections: AtomicUsize,
    /// Counts requests whose sender went away before the answer was complete.
    abandoned: watch::Sender<usize>,
}

/// Notes, when dropped before the answer is complete, that nobody waits for it any more.
#[derive(Debug)]
struct Awaited {
    shared: Arc<Shared>,
    is_answered: bool,
}

impl Awaited {
    fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), is_answered: false }
    }

    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.abandoned.send_modify(|count| *count += 1);
        }
    }
}

// ---- Recorded ----

impl Recorded {
    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The parameters as a value.
    pub fn params(&self) -> Value {
        serde_json::from_str(&self.params).unwrap()
    }
}

// ---- FakeUpstream ----

impl FakeUpstream {
    /// Describes an upstream that keeps sessions, answers in JSON and has no tools.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        match &self.tls {
            None => format!("http://{}/mcp", self.address),
            Some(_) => format!("https://localhost:{}/mcp", self.address.port()),
        }
    }

    /// Secures connections otherwise from now on; those that there are stay as they are.
    pub fn set_tls(&self, tls: &Tls) {
        *self.tls.as_ref().unwrap().lock().unwrap() = tls.config();
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that arrived since the start or the last [`FakeUpstream::clear`].
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.borrow().clone()
    }

    /// The methods of everything that arrived, in order.
    pub fn methods(&self) -> Vec<String> {
        self.shared.requests.borrow().iter().map(|request| request.method.clone()).collect()
    }

    /// How many requests of a method arrived.
    pub fn count(&self, method: &str) -> usize {
        count(&self.shared.requests.borrow(), method)
    }

    /// Waits until that many requests of a method have arrived.
    pub async fn wait_for(&self, method: &str, times: usize) {
        let mut requests = self.shared.requests.subscribe();
        requests.wait_for(|requests| count(requests, method) >= times).await.unwrap();
    }

    /// Waits until that many requests were given up by their sender before the answer was complete.
    pub async fn wait_for_abandoned(&self, times: usize) {
        self.shared.abandoned.subscribe().wait_for(|count| *count >= times).await.unwrap();
    }

    /// How many connections were ever accepted.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Forgets what arrived.
    pub fn clear(&self) {
        self.shared.requests.send_modify(Vec::clear);
    }

    /// Replaces the tools by such as [`Builder::tool`] makes.
    pub fn rename_tools(&self, names: &[&str]) {
        self.with_script(|script| script.tools = names.iter().map(|name| plain_tool(name)).collect());
    }

    /// Replaces the tools, given as raw JSON.
    pub fn set_tools(&self, tools: &[&str]) {
        self.with_script(|script| script.tools = tools.iter().map(|tool| (*tool).to_owned()).collect());
    }

    /// Scripts the result of a tool as raw JSON.
    pub fn set_result(&self, tool: &str, result: &str) {
        self.with_script(|script| script.results.insert(tool.to_owned(), result.to_owned()));
    }

    /// Answers 401 without this bearer token; `None` lets everybody in.
    pub fn set_token(&self, token: Option<&str>) {
        self.with_script(|script| script.token = token.map(ToOwned::to_owned));
    }

    /// Starts or stops issuing and asking for session ids.
    pub fn set_stateful(&self, stateful: bool) {
        self.with_script(|script| script.stateful = stateful);
    }

    /// Speaks other revisions from now on.
    pub fn set_era(&self, era: Era) {
        self.with_script(|script| script.era = era);
    }

    /// Replies with event streams, or in JSON.
    pub fn set_sse(&self, sse: bool) {
        self.with_script(|script| script.sse = sse);
    }

    /// Sends bodies in pieces of these sizes, over and over.
    pub fn set_pieces(&self, sizes: &[usize]) {
        self.with_script(|script| script.pieces = sizes.to_vec());
    }

    /// Misbehaves whenever this method arrives, until told otherwise.
    pub fn fault(&self, method: &str, fault: Fault) {
        self.with_script(|script| script.faults.insert(method.to_owned(), (fault, None)));
    }

    /// Misbehaves the next time this method arrives.
    pub fn fault_once(&self, method: &str, fault: Fault) {
        self.with_script(|script| script.faults.insert(method.to_owned(), (fault, Some(1))));
    }

    /// Behaves again.
    pub fn clear_faults(&self) {
        self.with_script(|script| script.faults.clear());
    }

    /// Lets requests go on that hang because of [`Fault::Hang`].
    pub fn release(&self) {
        self.shared.releases.send_modify(|count| *count += 1);
    }

    /// Forgets all sessions, as a restarted server does.
    pub fn forget_sessions(&self) {
        self.with_script(|script| script.sessions.clear());
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.with_script(|script| script.sessions.len())
    }

    /// Stops listening; connections are refused from then on.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        while self.serving.join_next().await.is_some() {}
    }

    /// Listens on the same port again.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.stop = CancellationToken::new();
        self.serve(TcpListener::bind(self.address).await.unwrap());
    }

    fn serve(&mut self, listener: TcpListener) {
        let count = {
            let shared = Arc::clone(&self.shared);
            move || shared.connections.fetch_add(1, Ordering::Relaxed)
        };
        let app = serve::router(Arc::clone(&self.shared), self.stop.clone());
        let stopped = self.stop.clone().cancelled_owned();
        if let Some(current) = &self.tls {
            let listener = tls::Secured::new(listener, Arc::clone(current)).tap_io(move |_| {
                count();
            });
            self.serving.spawn(async move {
                axum::serve(listener, app).with_graceful_shutdown(stopped).await.unwrap();
            });
            return;
        }
        // Without it every event stream waits for a delayed acknowledgement.
        let listener = listener.tap_io(move |stream| {
            count();
            stream.set_nodelay(true).unwrap();
        });
        self.serving.spawn(async move {
            axum::serve(listener, app).with_graceful_shutdown(stopped).await.unwrap();
        });
    }

    fn with_script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.shared.script.lock().unwrap())
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn count(requests: &[Recorded], method: &str) -> usize {
    requests.iter().filter(|request| request.method == method).count()
}

#[cfg(test)]
mod tests;
