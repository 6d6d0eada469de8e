//! Ways to misbehave.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};

/// What happens instead of, or before, an answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and body.
    Body(u16, String),
    /// Answers with a redirect.
    Redirect(String),
    /// Answers with a JSON-RPC error of this code and message.
    RpcError(i64, String),
    /// Answers with this status and a JSON-RPC error of this code that names the request.
    RpcRefusal(u16, i64),
    /// Answers with this event stream.
    Stream(String),
    /// Answers with text that is not JSON.
    Garbage,
    /// Breaks off in mid-answer.
    Truncate,
    /// Does not go on until released; then answers properly.
    Hang,
    /// Waits, then answers properly.
    Delay(Duration),
}

impl Fault {
    /// The answer, unless the proper one follows.
    pub(super) fn response(self, id: &str) -> Option<Response> {
        Some(match self {
            Self::Status(status) => text(status, "application/json", r#"{"error":"scripted"}"#.to_owned()),
            Self::Body(status, body) => text(status, "application/json", body),
            Self::Stream(body) => text(200, "text/event-stream", body),
            Self::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response(),
            Self::RpcError(code, message) => rpc_error(200, id, code, &message),
            Self::RpcRefusal(status, code) => rpc_error(status, id, code, "refused"),
            Self::Garbage => text(200, "application/json", "this is not JSON".to_owned()),
            Self::Truncate => truncated(),
            Self::Hang | Self::Delay(_) => return None,
        })
    }
}

pub(super) fn text(status: u16, kind: &'static str, body: String) -> Response {
    (StatusCode::from_u16(status).unwrap(), [(CONTENT_TYPE, kind)], body).into_response()
}

fn rpc_error(status: u16, id: &str, code: i64, message: &str) -> Response {
    let message = serde_json::to_string(message).unwrap();
    let error = format!(r#"{{"code":{code},"message":{message}}}"#);
    text(status, "application/json", format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#))
}

fn truncated() -> Response {
    let broken = std::io::Error::other("truncated on purpose");
    let pieces = stream::iter([Ok(Bytes::from_static(br#"{"jsonrpc""#)), Err(broken)]);
    let headers = [(CONTENT_TYPE, "application/json"), (CONTENT_LENGTH, "1000")];
    (headers, Body::from_stream(pieces)).into_response()
}
