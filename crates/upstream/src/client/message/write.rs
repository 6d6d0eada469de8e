//! Messages as they are sent.

use serde::Serialize;
use serde_json::value::RawValue;
use toolplane_registry::RawJson;
use toolplane_registry::protocol::Revision;

use super::{METHOD_NOT_FOUND, broken};
use crate::Error;
use crate::client::{ToolCall, stateless};

#[derive(Serialize)]
struct Outgoing<'a, P> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a P>,
}

/// A request, or without an id a notification.
pub(in crate::client) fn write(
    id: Option<u64>,
    method: &str,
    params: Option<&impl Serialize>,
) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&Outgoing { jsonrpc: "2.0", id, method, params })
        .map_err(|_| Error::Protocol("the request cannot be written as JSON".to_owned()))
}

/// A call, put together in one piece: there is one for every call of a node.
pub(super) fn write_call(call: &ToolCall, id: u64, stamped: bool) -> Result<Vec<u8>, Error> {
    let ToolCall { name, arguments, meta, capabilities, log_level, .. } = call;
    let arguments = arguments.as_ref().map_or("{}", RawJson::as_str);
    let stamp =
        stamped.then(|| stateless::stamp_for(meta.as_ref(), capabilities.as_ref(), log_level.as_deref()));
    let meta = stamp.as_deref().or(meta.as_ref().map(RawJson::as_str));
    let mut out = String::with_capacity(128 + name.len() + arguments.len() + meta.map_or(0, str::len));
    out.extend([r#"{"jsonrpc":"2.0","id":"#, &id.to_string(), r#","method":"tools/call","params":{"name":"#]);
    push_text(&mut out, name)?;
    out.extend([r#","arguments":"#, arguments]);
    if let Some(responses) = call.input_responses.as_ref().filter(|_| stamped) {
        out.extend([r#","inputResponses":"#, responses.as_str()]);
    }
    if let Some(state) = &call.request_state {
        out.push_str(r#","requestState":"#);
        push_text(&mut out, state)?;
    }
    if let Some(meta) = meta {
        out.extend([r#","_meta":"#, meta]);
    }
    out.push_str("}}");
    Ok(out.into_bytes())
}

fn push_text(out: &mut String, text: &str) -> Result<(), Error> {
    let is_plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    if is_plain {
        out.extend([r#"""#, text, r#"""#]);
        return Ok(());
    }
    out.push_str(&serde_json::to_string(text).map_err(|_| broken("the request cannot be written as JSON"))?);
    Ok(())
}

/// The parameters of `initialize`: no capability of a client is offered.
pub(in crate::client) fn initialize_params() -> serde_json::Value {
    serde_json::json!({
        "protocolVersion": Revision::NEWEST.as_str(),
        "capabilities": {},
        "clientInfo": {"name": "toolplane", "version": env!("CARGO_PKG_VERSION")},
    })
}

/// The answer to what an upstream asks while we wait: alive, and nothing else on offer.
pub(in crate::client) fn write_answer(id: &RawValue, method: &str) -> Vec<u8> {
    let id = id.get();
    if method == "ping" {
        return format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into_bytes();
    }
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{METHOD_NOT_FOUND},"message":"not offered by this client"}}}}"#
    )
    .into_bytes()
}
