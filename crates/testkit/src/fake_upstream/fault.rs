//! Ways to misbehave.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures::stream::{self, StreamExt as _};
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
    /// Sends what comes before the reply of an event stream, and the reply itself once released.
    HoldReply,
    /// Waits, then answers properly.
    Delay(Duration),
    /// Answers somebody else's request.
    WrongId,
    /// Answers twice, in one event stream; this is the result of the second answer.
    TwoReplies(String),
    /// Answers with an event stream that never says anything and never ends.
    Endless,
    /// Announces a body of that many bytes, or none where that is not told, and sends white space for as long as
    /// somebody reads.
    Flood(Option<u64>),
    /// Sends a byte of a body every so often, and never ends.
    Trickle(Duration),
    /// Answers with bytes that are no text.
    InvalidUtf8,
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
            Self::WrongId => text(200, "application/json", answer("987654321", r#"{"content":[]}"#)),
            Self::TwoReplies(second) => {
                let first = answer(id, r#"{"content":[]}"#);
                text(200, "text/event-stream", format!("data: {first}\n\ndata: {}\n\n", answer(id, &second)))
            }
            Self::Endless => {
                stream_of("text/event-stream", None, b": nothing yet\n\n", Duration::from_millis(1))
            }
            Self::Flood(announced) => {
                stream_of("application/json", announced, &[b' '; 8 << 10], Duration::ZERO)
            }
            Self::Trickle(pause) => stream_of("application/json", None, b" ", pause),
            Self::InvalidUtf8 => {
                let mut body = answer(id, r#"{"content":[{"type":"text","text":"?"}]}"#).into_bytes();
                let at = body.iter().position(|byte| *byte == b'?').unwrap();
                body.splice(at..=at, [0xff, 0xc0]);
                ([(CONTENT_TYPE, "application/json")], body).into_response()
            }
            Self::Hang | Self::HoldReply | Self::Delay(_) => return None,
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

fn answer(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// A body that repeats the same piece without end.
fn stream_of(kind: &'static str, announced: Option<u64>, piece: &'static [u8], pause: Duration) -> Response {
    let pieces = stream::unfold((), move |()| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Some((Ok::<_, std::io::Error>(Bytes::from_static(piece)), ()))
    });
    let mut response = ([(CONTENT_TYPE, kind)], Body::from_stream(pieces)).into_response();
    if let Some(announced) = announced {
        response.headers_mut().insert(CONTENT_LENGTH, announced.into());
    }
    response
}

/// A body in pieces of these sizes, over and over.
pub(super) fn in_pieces(kind: &'static str, body: String, sizes: &[usize]) -> Response {
    let mut rest = Bytes::from(body);
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        pieces.push(rest.split_to((*size).clamp(1, rest.len())));
    }
    let pieces = stream::iter(pieces).then(|piece| async {
        // Lets what was sent so far leave on its own.
        tokio::task::yield_now().await;
        Ok::<_, std::io::Error>(piece)
    });
    ([(CONTENT_TYPE, kind)], Body::from_stream(pieces)).into_response()
}
