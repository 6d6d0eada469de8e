//! What a server of the stateless revision insists on, and how the transport before streamable HTTP begins.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::stream::{self, StreamExt as _};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault::text;

pub(super) const VERSION: &str = "2026-07-28";
const HEADER_MISMATCH: i64 = -32020;
const UNSUPPORTED_VERSION: i64 = -32022;

/// As much of the parameters as is checked; the rest may hold what no value can.
#[derive(Deserialize)]
struct Params {
    #[serde(default, rename = "_meta")]
    meta: BTreeMap<String, Box<RawValue>>,
    #[serde(default)]
    name: Option<String>,
}

/// Whether a request says by its header that it is of this revision.
pub(super) fn is_named(headers: &HeaderMap) -> bool {
    header(headers, "mcp-protocol-version").as_deref() == Some(VERSION)
}

/// Why a request is refused, unless it is all right.
pub(super) fn problem(method: &str, id: &str, params: &str, headers: &HeaderMap) -> Option<Response> {
    let refuse = |status: u16, code: i64, data: &str| {
        let error = format!(r#"{{"code":{code},"message":"refused","data":{data}}}"#);
        Some(text(status, "application/json", format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)))
    };
    if !is_named(headers) {
        return refuse(400, UNSUPPORTED_VERSION, &format!(r#"{{"supported":["{VERSION}"]}}"#));
    }
    if !matches!(method, "server/discover" | "tools/list" | "tools/call") {
        return refuse(404, -32601, "null");
    }
    let Params { meta, name } = serde_json::from_str(params).unwrap();
    let meta = |key: &str| meta.get(&format!("io.modelcontextprotocol/{key}"));
    let version = meta("protocolVersion").map(|raw| raw.get().trim_matches('"'));
    if version != Some(VERSION) || meta("clientCapabilities").is_none() {
        return refuse(400, -32602, "null");
    }
    let mirrors =
        header(headers, "mcp-method").as_deref() == Some(method) && header(headers, "mcp-name") == name;
    if !mirrors || headers.contains_key("mcp-session-id") {
        return refuse(400, HEADER_MISMATCH, "null");
    }
    None
}

/// An event stream that names the address for messages, and stays open.
pub(super) fn old_stream() -> Response {
    let first = Bytes::from_static(b"event: endpoint\ndata: /messages?id=1\n\n");
    let body = stream::iter([Ok::<_, std::io::Error>(first)]).chain(stream::pending());
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response()
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().unwrap();
    let encoded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    Some(match encoded {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap(),
        None => value.to_owned(),
    })
}
