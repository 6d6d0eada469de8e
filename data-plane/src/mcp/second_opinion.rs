//! When `rmcp` is asked about a call of the 2026-07-28 revision, and what it is shown.
//!
//! `rmcp` decides what a request of that revision must look like. A call in which every header and every member of
//! `_meta` has a form that it certainly accepts is served without asking; whoever deviates in anything, rightly or
//! not, is left to its verdict. Owns that comparison and the shell of a call that is shown. Never refuses anything.

use std::collections::BTreeMap;

use http::HeaderMap;
use rmcp::model::ClientCapabilities;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::definitions::{EXECUTE_TOOL, TOOL_HEADER};
use super::wire::{self, CAPABILITIES_META, CallParams, PROTOCOL_VERSION_HEADER, PROTOCOL_VERSION_META};

const STATELESS: &str = "2026-07-28";
/// How values begin that a header cannot spell out.
const ENCODED: &str = "=?";
/// More digits may be no exact integer to everybody.
const MAX_ID_DIGITS: usize = 15;

/// A call and its headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) params: &'a CallParams<'a>,
    pub(super) id: &'a RawValue,
}

/// A `tools/call` with nothing in it but what `rmcp` checks.
#[derive(Serialize)]
struct Shell<'a> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    method: &'static str,
    params: ShellParams<'a>,
}

#[derive(Serialize)]
struct ShellParams<'a> {
    name: &'a str,
    arguments: Mirrored<'a>,
    #[serde(rename = "_meta")]
    meta: BTreeMap<&'a str, &'a RawValue>,
}

/// Of all arguments the one that a header repeats.
#[derive(Default, Serialize, Deserialize)]
struct Mirrored<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a RawValue>,
}

impl Call<'_> {
    /// Whether a header has to say which tool is to run. Where nobody asks for it, one that is there has to be right.
    pub(super) fn names_tool(&self, is_asked_for: bool) -> bool {
        self.params.name == EXECUTE_TOOL && (is_asked_for || self.headers.contains_key(TOOL_HEADER))
    }

    /// Whether `rmcp` might have something against it.
    pub(super) fn is_doubtful(&self, names_tool: bool) -> bool {
        let Self { headers, params, id } = *self;
        let is_plain = is_plain_id(id)
            && sole(headers, PROTOCOL_VERSION_HEADER) == Some(STATELESS)
            && sole(headers, "mcp-method") == Some("tools/call")
            && spells(headers, "mcp-name", &params.name)
            && (!names_tool || repeats_tool(headers, params))
            && params.hop_member(PROTOCOL_VERSION_META).and_then(plain_text) == Some(STATELESS)
            && params.hop_member(CAPABILITIES_META).is_some_and(are_capabilities);
        !is_plain
    }

    /// The message that `rmcp` is shown: same id, name and what `_meta` says of this hop. The rest need not be to its
    /// liking: it would refuse numbers that no double can hold, for one.
    pub(super) fn shell(&self, names_tool: bool) -> Vec<u8> {
        let Self { headers: _, params, id } = *self;
        let arguments = if names_tool { mirrored(params) } else { Mirrored::default() };
        let params = ShellParams { name: &params.name, arguments, meta: params.hop_members() };
        wire::written(&Shell { jsonrpc: "2.0", id, method: "tools/call", params })
    }
}

/// What cannot be read is reported by the meta-tool, in words that fit it.
fn mirrored<'a>(params: &CallParams<'a>) -> Mirrored<'a> {
    params.arguments.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

fn is_plain_id(id: &RawValue) -> bool {
    let text = id.get();
    // JSON has no leading zeros, so there is one spelling.
    let is_short_number = text.len() <= MAX_ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    is_short_number || plain_text(id).is_some()
}

fn repeats_tool(headers: &HeaderMap, params: &CallParams<'_>) -> bool {
    let tool = mirrored(params).tool_name.and_then(plain_text);
    tool.is_some_and(|tool| spells(headers, TOOL_HEADER, tool))
}

/// Whether a header says exactly this, in clear.
fn spells(headers: &HeaderMap, name: &str, expected: &str) -> bool {
    !expected.starts_with(ENCODED) && sole(headers, name) == Some(expected)
}

/// The value of a header that is there once.
fn sole<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// A text without escapes.
fn plain_text(raw: &RawValue) -> Option<&str> {
    serde_json::from_str(raw.get()).ok()
}

fn are_capabilities(raw: &RawValue) -> bool {
    raw.get() == "{}" || serde_json::from_str::<ClientCapabilities>(raw.get()).is_ok()
}
