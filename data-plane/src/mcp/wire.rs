//! JSON-RPC as this endpoint reads and writes it: borrowed, so that what it carries stays as it was sent.
//!
//! `message` is what comes, `params` is what a call asks for, `answer` is what goes back.

mod answer;
mod message;
mod params;

use serde::Deserialize;

pub(super) use self::answer::{failure, response, written};
pub(super) use self::message::Message;
pub(super) use self::params::{
    CAPABILITIES_META, CallParams, PROTOCOL_VERSION_HEADER, PROTOCOL_VERSION_META, names_lost_session,
};

/// The body is not JSON.
pub(super) const PARSE_ERROR: i32 = -32700;
/// The message or its parameters are not what the method takes. Also the answer to batches and to what is no
/// JSON-RPC, as existing clients know it.
pub(super) const INVALID_PARAMS: i32 = -32602;
/// The request names a session, and this node keeps none.
pub(super) const NO_SESSION: i32 = -32600;
/// A fault of ours.
pub(super) const INTERNAL: i32 = -32603;
/// The node cannot serve yet.
pub(super) const NOT_READY: i32 = -32000;

/// Reads an object. By itself the library would take an array of the same values, too.
fn read_object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    if text.trim_ascii_start().starts_with('{') { serde_json::from_str(text).ok() } else { None }
}
