//! Streamable HTTP: one POST per message, a reply as JSON or at some point of an event stream.
//!
//! Owns what a message looks like on the wire and how a reply is found. Knows no sessions beyond the headers it
//! is given; that is [`super::session`].

mod peer;
mod stream;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method};
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use toolplane_registry::Tls;

use super::message::{self, Ask, Incoming, Raw};
use super::sse::Decoder;
use crate::connector::{Options, Response, Secured};
use crate::{Connector, Error};

pub(super) use self::peer::Peer;

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// How much of a failing reply is read in search of a JSON-RPC error.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// How long is waited for it. The status says what counts, and it is there already.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(2);
/// How many questions of an upstream are answered before its reply. Each costs a request.
const MAX_QUESTIONS: usize = 32;
/// How much of a stream is read in search of the first event of the older transport, and for how long.
const MAX_PREAMBLE_BYTES: usize = 4 << 10;
const OLD_TRANSPORT_PATIENCE: Duration = Duration::from_secs(3);

/// Sends messages and reads replies.
#[derive(Debug)]
pub(super) struct Transport {
    connector: Connector,
    next_id: AtomicU64,
    /// Whatever outlives the call that caused it, always for a bounded time.
    background: TaskTracker,
}

/// A successful reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) result: Raw,
    /// The session id that came with it.
    pub(super) session_id: Option<HeaderValue>,
}

// ---- Transport ----

impl Transport {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, next_id: AtomicU64::new(1), background: TaskTracker::new() }
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    pub(super) fn options(&self) -> &Options {
        self.connector.options()
    }

    pub(super) fn secure(&self, tls: &Tls) -> Option<Secured> {
        self.connector.secure(tls, None)
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a request, written under the id, and waits for its reply.
    pub(super) async fn request(&self, peer: &Peer, id: u64, body: Vec<u8>) -> Result<Reply, Error> {
        self.request_for(peer, id, body, None).await
    }

    /// The same on behalf of somebody who may hear what is said before the reply, and has room for it or not.
    pub(super) async fn request_for(
        &self,
        peer: &Peer,
        id: u64,
        body: Vec<u8>,
        ask: Option<Ask<'_>>,
    ) -> Result<Reply, Error> {
        let mut headers = peer.headers.clone();
        if let Some(ask) = ask.filter(|_| peer.is_stateless()) {
            ask.mirror(&mut headers);
        }
        let mut response =
            self.connector.send(Method::POST, peer.destination(), headers, body.into()).await?;
        if !is_success(response.status()) {
            return Err(Box::pin(refusal(response, id)).await);
        }
        if let Some(room) = ask.and_then(Ask::room) {
            response.count_in(room);
        }
        if is_encoded(&response) {
            return Err(message::broken("the reply is compressed, which nobody asked for"));
        }
        let session_id = response.headers().get(SESSION_ID).cloned();
        let result = if is_event_stream(&response) {
            // Boxed, like every way that few calls take: all of them would carry it along.
            Box::pin(self.read_stream(peer, response, id, ask)).await?
        } else {
            match message::parse(&response.bytes().await?, id)? {
                Incoming::Reply(result) => result?,
                _ => return Err(Error::Protocol("the reply answers another request".to_owned())),
            }
        };
        Ok(Reply { result, session_id })
    }

    /// Sends a notification.
    pub(super) async fn notify(
        &self,
        peer: &Peer,
        method: &str,
        params: Option<&serde_json::Value>,
    ) -> Result<(), Error> {
        let response = self.post(peer, message::write(None, method, params)?).await?;
        accepted(response).await
    }

    /// Ends the session that `peer` names.
    pub(super) async fn delete(&self, peer: &Peer) -> Result<(), Error> {
        let sent =
            self.connector.send(Method::DELETE, peer.destination(), peer.headers.clone(), Vec::new().into());
        accepted(sent.await?).await
    }

    /// Whether the address is that of the older transport: a stream that begins by naming another address.
    pub(super) async fn is_old_transport(&self, peer: &Peer) -> bool {
        let mut headers = peer.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.remove(CONTENT_TYPE);
        let asking = async {
            let mut response = self
                .connector
                .send(Method::GET, peer.destination(), headers, Vec::new().into())
                .await
                .ok()?;
            if !is_success(response.status()) || !is_event_stream(&response) {
                return None;
            }
            response.limit_to(MAX_PREAMBLE_BYTES);
            let mut seen = Vec::new();
            while !names_an_endpoint(&seen) {
                seen.extend_from_slice(&response.chunk().await.ok()??);
            }
            Some(())
        };
        matches!(tokio::time::timeout(OLD_TRANSPORT_PATIENCE, asking).await, Ok(Some(())))
    }

    /// Runs something behind a call, a bounded time. Nothing runs where no runtime is left.
    pub(super) fn in_background(&self, work: impl Future + Send + 'static) {
        let limit = self.options().cleanup_timeout;
        self.keep_running(async move {
            if tokio::time::timeout(limit, work).await.is_err() {
                tracing::debug!("gave up on cleaning up behind a call");
            }
        });
    }

    /// Runs something that bounds itself, and that [`Transport::close`] waits for.
    pub(super) fn keep_running(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = Handle::try_current() {
            self.background.spawn_on(work, &runtime);
        }
    }

    /// Waits for what runs in the background, a bounded time.
    pub(super) async fn close(&self) {
        self.background.close();
        if tokio::time::timeout(self.options().cleanup_timeout, self.background.wait()).await.is_err() {
            tracing::debug!("some sessions were not closed in time");
        }
    }

    async fn post(&self, peer: &Peer, body: Vec<u8>) -> Result<Response, Error> {
        self.connector.send(Method::POST, peer.destination(), peer.headers.clone(), body.into()).await
    }

    /// Reads one response: the reply, or nothing where it ends before that.
    async fn read_response(
        &self,
        peer: &Peer,
        mut response: Response,
        id: u64,
        ask: Option<Ask<'_>>,
        decoder: &mut Decoder,
    ) -> Result<Option<Result<Raw, Error>>, Error> {
        let listener = ask.and_then(Ask::listener);
        let mut questions = 0;
        while let Some(chunk) = response.chunk().await? {
            response.hold(decoder.held() + chunk.len())?;
            decoder.push(&chunk);
            while let Some(data) = decoder.next_event() {
                match message::parse(&data, id)? {
                    Incoming::Reply(result) => {
                        response.hand_on();
                        self.let_end(response);
                        return Ok(Some(result));
                    }
                    Incoming::Request { .. } if questions == MAX_QUESTIONS => {
                        return Err(message::broken("it asks more than is answered before it replies"));
                    }
                    Incoming::Request { id, method } => {
                        questions += 1;
                        self.answer(peer, &id, &method).await;
                    }
                    Incoming::Note(note) => {
                        if let Some(listener) = listener {
                            listener.hear(note);
                        }
                    }
                    Incoming::Other => {}
                }
            }
            response.hold(decoder.held())?;
        }
        Ok(None)
    }

    /// Answers the upstream's own request, so that it does not wait for something nobody offers.
    async fn answer(&self, peer: &Peer, id: &RawValue, method: &str) {
        let sent = self.post(peer, message::write_answer(id, method)).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "could not answer a request of the upstream");
        }
    }

    /// Reads a stream to its end behind the call: a connection dropped in mid-body cannot be used again.
    fn let_end(&self, mut response: Response) {
        if matches!(response.chunk().now_or_never(), Some(Ok(None) | Err(_))) {
            return;
        }
        self.in_background(async move { while let Ok(Some(_)) = response.chunk().await {} });
    }
}

/// Reads the little that may follow, so that the connection can be used again.
async fn accepted(mut response: Response) -> Result<(), Error> {
    let status = response.status();
    if is_success(status) {
        response.limit_to(MAX_REFUSAL_BYTES);
        return response.bytes().await.map(drop);
    }
    Err(status_error(status))
}

async fn refusal(mut response: Response, id: u64) -> Error {
    let error = status_error(response.status());
    if matches!(error, Error::Unauthorized(_)) {
        return error;
    }
    response.limit_to(MAX_REFUSAL_BYTES);
    let body = tokio::time::timeout(REFUSAL_PATIENCE, response.bytes()).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    message::parse_refusal(&body, id).unwrap_or(error)
}

fn status_error(status: u16) -> Error {
    match status {
        401 | 403 => Error::Unauthorized(status),
        _ => Error::Status(status),
    }
}

/// Whether what arrived holds the event with which the older transport begins.
fn names_an_endpoint(seen: &[u8]) -> bool {
    let is_endpoint =
        |line: &[u8]| line.strip_prefix(b"event:").is_some_and(|name| name.trim_ascii() == b"endpoint");
    seen.split(|byte| matches!(byte, b'\n' | b'\r')).any(is_endpoint)
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Whether the body is compressed or the like: no such thing is asked for, so nothing here could read it.
fn is_encoded(response: &Response) -> bool {
    response
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn is_event_stream(response: &Response) -> bool {
    response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}
