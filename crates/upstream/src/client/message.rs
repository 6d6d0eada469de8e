//! JSON-RPC messages, written and read without touching the JSON that only passes through.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use toolplane_registry::RawJson;

use super::ToolCall;
use crate::Error;

/// A JSON document that was received.
pub(super) type Raw = Box<RawValue>;

/// The newest revision with a handshake: what is offered to an upstream.
pub(super) const PROTOCOL_VERSION: &str = "2025-11-25";
/// Revisions an upstream may settle on.
const KNOWN_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", PROTOCOL_VERSION];
const METHOD_NOT_FOUND: i64 = -32601;

/// What a tool answered, each part as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The content blocks: JSON objects of whatever type.
    pub content: Vec<RawJson>,
    /// The structured content: any JSON value, `null` included.
    pub structured_content: Option<RawJson>,
    /// Whether the tool reports a failure.
    pub is_error: bool,
    /// The `_meta` object.
    pub meta: Option<RawJson>,
}

/// One page of a listing.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) tools: Vec<RawJson>,
    pub(super) next_cursor: Option<String>,
}

/// What a server says of itself in the handshake.
#[derive(Debug)]
pub(super) struct Introduction {
    pub(super) protocol_version: String,
    pub(super) server_name: Option<String>,
}

/// A message that arrived while a reply is awaited.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The reply.
    Reply(Result<Raw, Error>),
    /// The upstream asks something of its own.
    Request { id: Raw, method: String },
    /// A notification, or the answer to somebody else.
    Other,
}

/// The parameters of `tools/call`.
#[derive(Serialize)]
pub(super) struct CallParams<'a> {
    name: &'a str,
    arguments: Cow<'a, RawJson>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawJson>,
}

/// The parameters of `tools/list`.
#[derive(Serialize)]
pub(super) struct ListParams<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
}

#[derive(Serialize)]
struct Outgoing<'a, P> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a P>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorFields {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<RawJson>,
}

#[derive(Deserialize)]
struct ResultFields<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "structuredContent", deserialize_with = "present")]
    structured_content: Option<&'a RawValue>,
    #[serde(default, rename = "isError")]
    is_error: Option<bool>,
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PageFields<'a> {
    #[serde(borrow)]
    tools: Vec<&'a RawValue>,
    #[serde(default, rename = "nextCursor")]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct InitializeFields<'a> {
    #[serde(borrow, rename = "protocolVersion")]
    protocol_version: Cow<'a, str>,
    #[serde(borrow, default, rename = "serverInfo")]
    server_info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ServerInfoFields {
    name: String,
}

// ---- parameters ----

impl<'a> CallParams<'a> {
    pub(super) fn new(call: &'a ToolCall) -> Self {
        let arguments = match &call.arguments {
            Some(arguments) => Cow::Borrowed(arguments),
            None => Cow::Owned(RawJson::from(&serde_json::json!({}))),
        };
        Self { name: &call.name, arguments, meta: call.meta.as_ref() }
    }
}

impl<'a> ListParams<'a> {
    pub(super) fn first() -> Self {
        Self { cursor: None }
    }

    pub(super) fn after(cursor: &'a str) -> Self {
        Self { cursor: Some(cursor) }
    }
}

// ---- writing ----

/// A request, or without an id a notification.
pub(super) fn write(
    id: Option<u64>,
    method: &str,
    params: Option<&impl Serialize>,
) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&Outgoing { jsonrpc: "2.0", id, method, params })
        .map_err(|_| Error::Protocol("the request cannot be written as JSON".to_owned()))
}

/// The parameters of `initialize`: no capability of a client is offered.
pub(super) fn initialize_params() -> serde_json::Value {
    serde_json::json!({
        "protocolVersion": PROTOCOL_VERSION,
        "capabilities": {},
        "clientInfo": {"name": "toolplane", "version": env!("CARGO_PKG_VERSION")},
    })
}

/// The answer to what an upstream asks while we wait: alive, and nothing else on offer.
pub(super) fn write_answer(id: &RawValue, method: &str) -> Vec<u8> {
    let id = id.get();
    if method == "ping" {
        return format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into_bytes();
    }
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{METHOD_NOT_FOUND},"message":"not offered by this client"}}}}"#
    )
    .into_bytes()
}

// ---- reading ----

/// Sorts a message by what it means to whoever awaits the reply to `id`.
pub(super) fn parse(text: &[u8], id: u64) -> Result<Incoming, Error> {
    let Envelope { id: message_id, method, result, error } =
        serde_json::from_slice(text).map_err(|_| broken("a message is not JSON-RPC"))?;
    if let Some(method) = method {
        return Ok(match message_id {
            Some(id) => Incoming::Request { id: id.to_owned(), method: method.into_owned() },
            None => Incoming::Other,
        });
    }
    let is_ours = message_id.is_some_and(|found| found.get() == id.to_string());
    match (result, error) {
        (Some(result), None) if is_ours => Ok(Incoming::Reply(Ok(result.to_owned()))),
        // A server that could not read the request answers without an id.
        (None, Some(error)) if is_ours || message_id.is_none() => {
            Ok(Incoming::Reply(Err(parse_error(error))))
        }
        _ if is_ours => Err(broken("the reply has neither a result nor an error")),
        _ => Ok(Incoming::Other),
    }
}

/// The JSON-RPC error of a reply that came with a failing status, provided that it answers `id`.
pub(super) fn parse_refusal(text: &[u8], id: u64) -> Option<Error> {
    let envelope: Envelope<'_> = serde_json::from_slice(text).ok()?;
    let answers_us = envelope.id?.get() == id.to_string();
    answers_us.then(|| envelope.error.map(parse_error)).flatten()
}

pub(super) fn parse_tool_result(result: &RawValue) -> Result<ToolResult, Error> {
    let ResultFields { content, structured_content, is_error, meta } =
        serde_json::from_str(result.get()).map_err(|_| broken("the result is not a tool result"))?;
    let content = match content {
        Some(content) => parse_content(content)?,
        None if structured_content.is_some() => Vec::new(),
        None => return Err(broken("the tool result has no content")),
    };
    Ok(ToolResult {
        content,
        structured_content: structured_content.map(RawJson::from),
        is_error: is_error.unwrap_or(false),
        meta: meta.map(RawJson::from),
    })
}

pub(super) fn parse_page(result: &RawValue) -> Result<Page, Error> {
    let PageFields { tools, next_cursor } =
        serde_json::from_str(result.get()).map_err(|_| broken("the result is not a list of tools"))?;
    Ok(Page {
        tools: tools.into_iter().map(RawJson::from).collect(),
        next_cursor: next_cursor.filter(|cursor| !cursor.is_empty()),
    })
}

pub(super) fn parse_introduction(result: &RawValue) -> Result<Introduction, Error> {
    let InitializeFields { protocol_version, server_info } =
        serde_json::from_str(result.get()).map_err(|_| broken("the result of `initialize` is malformed"))?;
    if !KNOWN_VERSIONS.contains(&&*protocol_version) {
        return Err(broken("the upstream settled on an unknown protocol version"));
    }
    let server_name = server_info
        .and_then(|info| serde_json::from_str::<ServerInfoFields>(info.get()).ok())
        .map(|info| info.name);
    Ok(Introduction { protocol_version: protocol_version.into_owned(), server_name })
}

fn parse_content(content: &RawValue) -> Result<Vec<RawJson>, Error> {
    let blocks: Vec<&RawValue> =
        serde_json::from_str(content.get()).map_err(|_| broken("the content is not an array"))?;
    if blocks.iter().any(|block| !block.get().starts_with('{')) {
        return Err(broken("a content block is not an object"));
    }
    Ok(blocks.into_iter().map(RawJson::from).collect())
}

fn parse_error(error: &RawValue) -> Error {
    match serde_json::from_str(error.get()) {
        Ok(ErrorFields { code, message, data }) => Error::Rpc { code, message, data },
        Err(_) => broken("the error of the reply is malformed"),
    }
}

/// Keeps `null` apart from absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn broken(reason: &str) -> Error {
    Error::Protocol(reason.to_owned())
}

#[cfg(test)]
mod tests;
