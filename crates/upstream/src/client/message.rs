//! JSON-RPC messages, written and read without touching the JSON that only passes through.

mod write;

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use toolplane_registry::RawJson;
use toolplane_registry::protocol::Revision;

use super::ToolCall;
use super::note::{Listen, Note};
use super::stateless;
use crate::Error;
use crate::connector::Room;

use self::write::write_call;
pub(super) use self::write::{initialize_params, write, write_answer};

/// A JSON document that was received.
pub(super) type Raw = Box<RawValue>;

const METHOD_NOT_FOUND: i64 = -32601;

/// One page of a listing.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) tools: Vec<RawJson>,
    pub(super) next_cursor: Option<String>,
}

/// What a server says of itself in the handshake.
#[derive(Debug)]
pub(super) struct Introduction {
    pub(super) revision: Revision,
    pub(super) server_name: Option<String>,
}

/// A message that arrived while a reply is awaited.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    /// The reply.
    Reply(Result<Raw, Error>),
    /// The upstream asks something of its own.
    Request { id: Raw, method: String },
    /// Something for whoever listens.
    Note(Note<'a>),
    /// Another notification, or the answer to somebody else.
    Other,
}

/// What is asked of an upstream, in whichever revision.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'a> {
    /// A page of its tools; absent: the first.
    List(Option<&'a str>),
    /// A call of one tool.
    Call(&'a ToolCall),
}

/// The parameters of `tools/list`.
#[derive(Serialize)]
struct ListParams<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawJson>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
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

// ---- what is asked ----

impl<'a> Ask<'a> {
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::List(_) => "tools/list",
            Self::Call(_) => "tools/call",
        }
    }

    /// The name that headers repeat.
    pub(super) fn name(self) -> Option<&'a str> {
        match self {
            Self::List(_) => None,
            Self::Call(call) => Some(&call.name),
        }
    }

    /// Adds the headers that repeat it, as the stateless revision wants them.
    pub(super) fn mirror(self, headers: &mut HeaderMap) {
        stateless::mirror(headers, self.method(), self.name());
        if let Self::Call(call) = self {
            stateless::mirror_arguments(headers, call.input_schema.as_ref(), call.arguments.as_ref());
        }
    }

    /// Who hears what is said before the reply.
    pub(super) fn listener(self) -> Option<&'a dyn Listen> {
        match self {
            Self::List(_) => None,
            Self::Call(call) => call.listener.as_deref(),
        }
    }

    /// Where a large reply has to fit in.
    pub(super) fn room(self) -> Option<Arc<dyn Room>> {
        match self {
            Self::List(_) => None,
            Self::Call(call) => call.room.clone(),
        }
    }

    /// The request; `stamped` adds what the stateless revision asks for.
    pub(super) fn write(self, id: u64, stamped: bool) -> Result<Vec<u8>, Error> {
        match self {
            Self::List(cursor) => write(
                Some(id),
                self.method(),
                Some(&ListParams { cursor, meta: stamped.then(|| stateless::stamp(None)).as_ref() }),
            ),
            Self::Call(call) => {
                if !stamped && call.request_state.is_some() {
                    return Err(broken("it no longer speaks the revision in which it asked for more input"));
                }
                write_call(call, id, stamped)
            }
        }
    }
}

// ---- reading ----

/// Sorts a message by what it means to whoever awaits the reply to `id`.
pub(super) fn parse(text: &[u8], id: u64) -> Result<Incoming<'_>, Error> {
    let Envelope { id: message_id, method, params, result, error } =
        read(text).map_err(|error| unreadable(text, &error))?;
    if let Some(method) = method {
        return Ok(match message_id {
            Some(id) => Incoming::Request { id: id.to_owned(), method: method.into_owned() },
            None => Note::of(&method, params).map_or(Incoming::Other, Incoming::Note),
        });
    }
    let is_ours = message_id.is_some_and(|found| found.get() == id.to_string());
    match (result, error) {
        (Some(result), None) if is_ours => Ok(Incoming::Reply(Ok(result.to_owned()))),
        // A server that could not read the request answers without an id.
        (None, Some(error)) if is_ours || message_id.is_none() => {
            Ok(Incoming::Reply(Err(parse_error(error))))
        }
        _ if is_ours => Err(broken("the reply must hold a result or an error, and not both")),
        _ => Ok(Incoming::Other),
    }
}

/// The JSON-RPC error of a reply that came with a failing status, provided that it answers `id`.
pub(super) fn parse_refusal(text: &[u8], id: u64) -> Option<Error> {
    let envelope: Envelope<'_> = read(text).ok()?;
    let answers_us = envelope.id?.get() == id.to_string();
    answers_us.then(|| envelope.error.map(parse_error)).flatten()
}

pub(super) fn parse_page(result: &RawValue) -> Result<Page, Error> {
    let PageFields { tools, next_cursor } =
        read(result.get().as_bytes()).map_err(|_| broken("the result is not a list of tools"))?;
    Ok(Page {
        tools: tools.into_iter().map(RawJson::from).collect(),
        next_cursor: next_cursor.filter(|cursor| !cursor.is_empty()),
    })
}

pub(super) fn parse_introduction(result: &RawValue) -> Result<Introduction, Error> {
    let InitializeFields { protocol_version, server_info } =
        read(result.get().as_bytes()).map_err(|_| broken("the result of `initialize` is malformed"))?;
    let revision = Revision::parse(&protocol_version)
        .ok_or_else(|| broken("the upstream settled on an unknown protocol version"))?;
    let server_name = server_info
        .and_then(|info| serde_json::from_str::<ServerInfoFields>(info.get()).ok())
        .map(|info| info.name);
    Ok(Introduction { revision, server_name })
}

/// Reads an object. A list is none: its items would be taken for members by their place.
pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> serde_json::Result<T> {
    let read = serde_json::from_slice(text)?;
    if text.trim_ascii_start().starts_with(b"[") {
        return Err(serde_json::Error::custom("a list is no object"));
    }
    Ok(read)
}

fn parse_error(error: &RawValue) -> Error {
    match read(error.get().as_bytes()) {
        Ok(ErrorFields { code, message, data }) => Error::Rpc { code, message, data },
        Err(_) => broken("the error of the reply is malformed"),
    }
}

fn unreadable(text: &[u8], error: &serde_json::Error) -> Error {
    broken(match std::str::from_utf8(text).map(str::trim_start) {
        Err(_) => "a message is not valid UTF-8",
        Ok("") => "the reply is empty",
        Ok(text) if text.starts_with('<') => "it answers with a web page instead of JSON-RPC",
        Ok(_) if error.is_eof() => "a message breaks off",
        Ok(_) if error.is_data() => {
            "a message is JSON and no JSON-RPC: a member is of a wrong type, or is there twice"
        }
        Ok(_) => "a message is not JSON",
    })
}

pub(super) fn broken(reason: &str) -> Error {
    Error::Protocol(reason.to_owned())
}

#[cfg(test)]
mod tests;
