//! Entry points for fuzzing what callers and the control plane send, as far as `/mcp` reads it.
//!
//! Owns promises and no behavior: what runs is the code of `mcp`. Never compiled without the feature `fuzzing`.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use toolplane_registry::{RawJson, View, arguments as tool_arguments};

use super::arguments::{self, Discover, Execute, Format, GetSchema, Refresh};
use super::wire::{self, CallParams, Message};
use super::{discover_tools, get_tool_schema};

/// Members of `_meta` that end at this hop.
const PER_HOP: &str = "\"io.modelcontextprotocol/";

/// The body of a request.
///
/// # Panics
///
/// Where an answer is no JSON or names another request, or something is passed on otherwise than it was sent.
pub fn request(input: &[u8]) {
    let message = match Message::read(input) {
        Ok(message) => message,
        Err(refusal) => return check(&wire::failure(None, refusal.code(), &refusal.to_string())),
    };
    if let Some(id) = message.id {
        let answer = wire::failure(Some(id), wire::INTERNAL, "words");
        check(&answer);
        let spelled = format!("\"id\":{},", id.get());
        assert!(contains(&answer, &spelled), "an answer does not name its request: {spelled}");
    }
    match CallParams::read(message.params) {
        Ok(params) => {
            assert!(message.params.is_some_and(|raw| raw.get().starts_with('{')), "parameters have names");
            call(&params);
        }
        Err(reason) => check(&wire::failure(message.id, wire::INVALID_PARAMS, reason)),
    }
}

/// Whatever a caller may ask of a registry.
///
/// # Panics
///
/// Where an answer is no JSON, or a tool that is shown cannot be found.
pub(crate) fn read_view(view: &View) {
    for format in [Format::Schema, Format::Signatures] {
        let ask = |domain: Option<&str>, group: Option<&str>, query: Option<&str>| {
            let [domain, group, query] = [domain, group, query].map(|text| text.map(ToOwned::to_owned));
            let asked = Discover { domain, group, query, format: Some(format) };
            let found = discover_tools::discover(view, &asked, false);
            match (found, format) {
                (Ok(found), Format::Schema) => check(found.text.as_bytes()),
                (Ok(_), Format::Signatures) => {}
                (Err(error), _) => panic_at(&error),
            }
        };
        ask(None, None, None);
        ask(None, None, Some("e"));
        for domain in view.domains() {
            ask(Some(domain.as_str()), None, None);
        }
        for entry in view.entries() {
            ask(Some(entry.domain().domain().as_str()), Some(entry.tool().group.as_str()), None);
        }
    }
    for entry in view.entries() {
        match get_tool_schema::schema(view, entry.name()) {
            Ok(text) => check(text.as_bytes()),
            Err(error) => panic_at(&error),
        }
        drop(tool_arguments::check(entry.tool(), Some(r#"{"a":1e400}"#)));
    }
}

fn call(params: &CallParams<'_>) {
    let stateless = (HeaderName::from_static("mcp-protocol-version"), HeaderValue::from_static("2026-07-28"));
    let is_handshake_era = params.is_handshake_era(&HeaderMap::new());
    assert!(!params.is_handshake_era(&HeaderMap::from_iter([stateless])), "the header says otherwise");
    if let Some(meta) = params.meta_for_upstream() {
        check(meta.as_str().as_bytes());
        let is_whole = params.meta.is_some_and(|given| given.get() == meta.as_str());
        assert!(meta.as_str().starts_with('{'), "`_meta` is an object");
        assert!(is_whole || !meta.as_str().starts_with(&format!("{{{PER_HOP}")), "of this hop: {meta:?}");
    }
    if let Ok(dialog) = params.dialog() {
        [dialog.capabilities, dialog.input_responses]
            .iter()
            .flatten()
            .for_each(|raw| check(raw.as_str().as_bytes()));
    }
    for era in [is_handshake_era, !is_handshake_era] {
        if let Some(token) = params.wishes(era).and_then(|wishes| wishes.progress_token) {
            check(token.get().as_bytes());
        }
    }
    let given = params.arguments.map(RawJson::from);
    drop(arguments::read::<Discover>("discover_tools", given.as_ref()));
    drop(arguments::read::<GetSchema>("get_tool_schema", given.as_ref()));
    drop(arguments::read::<Refresh>("refresh_registry", given.as_ref()));
    let execute = arguments::read::<Execute>("execute_tool", given.as_ref()).and_then(Execute::checked);
    if let (Ok(Execute { arguments: Some(passed), .. }), Some(given)) = (execute, given) {
        assert!(given.as_str().contains(passed.as_str()), "arguments are not passed on as they were sent");
    }
}

fn check(text: &[u8]) {
    let read: serde_json::Result<&RawValue> = serde_json::from_slice(text);
    assert!(read.is_ok(), "no JSON: {}", String::from_utf8_lossy(text));
}

fn contains(text: &[u8], part: &str) -> bool {
    String::from_utf8_lossy(text).contains(part)
}

fn panic_at(error: &super::error::Error) {
    assert!(error.to_string().is_empty(), "what is shown cannot be asked for: {error}");
}
