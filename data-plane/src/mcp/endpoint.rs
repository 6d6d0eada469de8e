//! `/mcp`: HTTP and JSON-RPC in front of the meta-tools.
//!
//! Reads the body once, within its limit, and serves `tools/call` itself, over borrowed JSON. Everything else goes to
//! `rmcp`, and so does the shell of a call of the 2026-07-28 revision whose headers and metadata need its verdict.
//! Keeps no session.

mod body;
mod checks;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use toolplane_registry::RawJson;
use toolplane_upstream::client::Listen;
use toolplane_upstream::connector::Room;
use tracing::Instrument as _;

use self::checks::{accepts_events, check_media_types, is_rebound};
use super::pieces::Pieces;
use super::reply::Outcome;
use super::second_opinion;
use super::server::{Passed, Server};
use super::stream::{self, Queue, Wishes};
use super::wire::{self, CallParams, Message};
use super::{Call, Extras, MetaTools};
use crate::caller::Caller;
use crate::metrics::Limit;
use crate::options::Options;

const JSON: &str = "application/json";
/// What `rmcp` wants to read in `Accept`; we answer JSON to whoever can read it.
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

type Rmcp = StreamableHttpService<Server, NeverSessionManager>;

/// The endpoint and what it needs.
pub(crate) struct Endpoint {
    meta_tools: Arc<MetaTools>,
    rmcp: Rmcp,
    /// For subscriptions, which end when the node drains; other requests are finished first.
    rmcp_until_drain: Rmcp,
    max_body_bytes: usize,
    /// Only this machine can connect, so a browser with another name for it is being tricked.
    on_loopback: bool,
    asks_for_tool_header: bool,
    asks_about_every_call: bool,
}

/// Why a request gets no further.
#[derive(Debug)]
enum Denial {
    /// HTTP says it all.
    Http(StatusCode, &'static str),
    /// A JSON-RPC error, with the status that goes with it.
    Rpc(StatusCode, Vec<u8>),
}

impl Endpoint {
    pub(crate) fn new(
        options: &Options,
        meta_tools: Arc<MetaTools>,
        on_loopback: bool,
        shutdown: &CancellationToken,
    ) -> Self {
        let server = Server::new(Arc::clone(&meta_tools), &options.name, &options.build);
        let service = |ends: CancellationToken| {
            let server = server.clone();
            StreamableHttpService::new(move || Ok(server.clone()), Arc::default(), config(options, ends))
        };
        Self {
            rmcp: service(CancellationToken::new()),
            rmcp_until_drain: service(shutdown.clone()),
            meta_tools,
            max_body_bytes: options.max_body_bytes,
            on_loopback,
            asks_for_tool_header: options.asks_for_tool_header,
            asks_about_every_call: options.asks_about_every_call,
        }
    }

    /// Serves one request that comes from the peer; replies to it have to fit into the room.
    pub(crate) async fn serve<B>(
        &self,
        request: Request<B>,
        peer: Option<IpAddr>,
        room: Arc<dyn Room>,
    ) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    {
        self.answer(request, peer, room).await.unwrap_or_else(Denial::into_response)
    }

    async fn answer<B>(
        &self,
        request: Request<B>,
        peer: Option<IpAddr>,
        room: Arc<dyn Room>,
    ) -> Result<Response, Denial>
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    {
        if self.on_loopback && is_rebound(request.uri(), request.headers()) {
            return Err(Denial::Http(StatusCode::FORBIDDEN, "this host or origin is not allowed"));
        }
        if request.method() != Method::POST {
            return Err(Denial::Http(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"));
        }
        check_media_types(request.headers())?;
        if wire::names_lost_session(request.headers()) {
            let reason = "there is no such session; initialize again";
            return Err(Denial::rpc(StatusCode::NOT_FOUND, None, wire::NO_SESSION, reason));
        }
        let (parts, body) = request.into_parts();
        let body = body::read(body, self.max_body_bytes).await.inspect_err(|denial| self.note(denial))?;
        let message = Message::read(&body).map_err(|refusal| {
            Denial::rpc(StatusCode::BAD_REQUEST, None, refusal.code(), &refusal.to_string())
        })?;
        match (message.method.as_deref(), message.id) {
            (Some("tools/call"), Some(id)) => self.call(parts, &message, id, (peer, room)).await,
            (Some("subscriptions/listen"), _) => {
                Ok(hand_over(&self.rmcp_until_drain, parts, body.clone()).await)
            }
            _ => Ok(hand_over(&self.rmcp, parts, body.clone()).await),
        }
    }

    /// Counts what ran into a limit.
    fn note(&self, denial: &Denial) {
        let limit = match denial {
            Denial::Http(StatusCode::PAYLOAD_TOO_LARGE, _) => Limit::BodySize,
            Denial::Http(StatusCode::REQUEST_TIMEOUT, _) => Limit::BodyTime,
            _ => return,
        };
        self.meta_tools.metrics().limit(limit);
    }

    async fn call(
        &self,
        parts: Parts,
        message: &Message<'_>,
        id: &RawValue,
        (peer, room): (Option<IpAddr>, Arc<dyn Room>),
    ) -> Result<Response, Denial> {
        let malformed = |reason| Denial::rpc(StatusCode::OK, Some(id), wire::INVALID_PARAMS, reason);
        let params = CallParams::read(message.params).map_err(malformed)?;
        if self.meta_tools.live().load().snapshot().version().is_none() {
            let reason = "this node has no snapshot to serve from yet";
            return Err(Denial::rpc(StatusCode::SERVICE_UNAVAILABLE, Some(id), wire::NOT_READY, reason));
        }
        let is_handshake_era = params.is_handshake_era(&parts.headers);
        let dialog = if is_handshake_era { None } else { Some(params.dialog().map_err(malformed)?) };
        let wishes = params.wishes(is_handshake_era).filter(|_| accepts_events(&parts.headers));
        let headers =
            if is_handshake_era { Ok(parts.headers) } else { self.judged(parts, &params, id).await };
        let headers = match headers {
            Ok(headers) => headers,
            Err(refusal) => return Ok(refusal),
        };
        let call = Call {
            name: params.name.clone().into_owned(),
            arguments: params.arguments.map(RawJson::from),
            caller: Caller::new(headers).at(peer),
            extras: Extras {
                meta: params.meta_for_upstream(),
                dialog,
                room: Some(room),
                ..Extras::default()
            },
        };
        let said = move |outcome: Outcome| if is_handshake_era { outcome } else { outcome.stateless() };
        match wishes {
            None => Ok(json(StatusCode::OK, wire::response(id, &said(self.meta_tools.call(call).await)))),
            Some(wishes) => Ok(Box::pin(self.call_heard(call, wishes, id, said)).await),
        }
    }

    /// Runs a call whose caller wants to hear what the upstream says meanwhile.
    async fn call_heard(
        &self,
        mut call: Call,
        wishes: Wishes,
        id: &RawValue,
        said: impl Fn(Outcome) -> Outcome + Send + Sync + 'static,
    ) -> Response {
        call.extras.log_level.clone_from(&wishes.log_level);
        let queue = Queue::new(wishes);
        call.extras.listener = Some(Arc::clone(&queue) as Arc<dyn Listen>);
        let lost = wire::failure(Some(id), wire::INTERNAL, "the call got lost inside the gateway");
        let (meta_tools, id) = (Arc::clone(&self.meta_tools), id.to_owned());
        let running = async move { wire::response(&id, &said(meta_tools.call(call).await)) };
        match stream::answer(queue, running.in_current_span(), lost).await {
            Ok(answer) => json(StatusCode::OK, answer),
            Err(events) => events,
        }
    }

    /// The headers of a call that may run, or what `rmcp` answers instead; where it accepts, its answer means nothing.
    ///
    /// The call itself does not run inside: here it ends with the request whose answer nobody waits for any more.
    async fn judged(
        &self,
        mut parts: Parts,
        params: &CallParams<'_>,
        id: &RawValue,
    ) -> Result<HeaderMap, Response> {
        let call = second_opinion::Call { headers: &parts.headers, params, id };
        let names_tool = call.names_tool(self.asks_for_tool_header);
        if !self.asks_about_every_call && !call.is_doubtful(names_tool) {
            return Ok(parts.headers);
        }
        let shell = call.shell(names_tool);
        let (passed, headers) = (Passed::default(), parts.headers.clone());
        parts.extensions.insert(passed.clone());
        let response = hand_over(&self.rmcp, parts, Bytes::from(shell)).await;
        if passed.is_set() { Ok(headers) } else { Err(response) }
    }
}

fn config(options: &Options, ends: CancellationToken) -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_retry(None)
        .with_max_request_body_bytes(options.max_body_bytes)
        .with_cancellation_token(ends)
        // A node behind a load balancer answers to any name; the loopback case is checked here.
        .disable_allowed_hosts()
}

async fn hand_over(rmcp: &Rmcp, mut parts: Parts, body: Bytes) -> Response {
    parts.headers.insert(header::ACCEPT, BOTH);
    // Boxed: it is long, and calls, which seldom come this way, would carry it along.
    Box::pin(rmcp.handle(Request::from_parts(parts, Full::new(body)))).await.map(Body::new)
}

impl Denial {
    fn rpc(status: StatusCode, id: Option<&RawValue>, code: i32, message: &str) -> Self {
        Self::Rpc(status, wire::failure(id, code, message))
    }
}

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        match self {
            Self::Http(status @ StatusCode::METHOD_NOT_ALLOWED, message) => {
                (status, [(header::ALLOW, "POST")], message).into_response()
            }
            Self::Http(status, message) => (status, message).into_response(),
            Self::Rpc(status, body) => json(status, body),
        }
    }
}

fn json(status: StatusCode, answer: impl Into<Pieces>) -> Response {
    let mut response = Response::new(answer.into().into_body());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}
