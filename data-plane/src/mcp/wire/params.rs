//! What a call asks for, and of which era it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use toolplane_registry::RawJson;

use super::read_object;
use crate::mcp::Dialog;
use crate::mcp::stream::Wishes;

/// Keys of `_meta` that describe one hop and mean nothing on the next.
const PER_HOP_META: &str = "io.modelcontextprotocol/";
pub(in crate::mcp) const PROTOCOL_VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";
pub(in crate::mcp) const CAPABILITIES_META: &str = "io.modelcontextprotocol/clientCapabilities";
/// What a tool may ask of a caller who can do it.
const ASKABLE: [&str; 3] = ["elicitation", "sampling", "roots"];
const PROGRESS_META: &str = "progressToken";
const LOG_META: &str = "io.modelcontextprotocol/logLevel";
pub(in crate::mcp) const PROTOCOL_VERSION_HEADER: &str = "mcp-protocol-version";
const HANDSHAKE_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// The parameters of `tools/call`.
#[derive(Debug, Deserialize)]
pub(in crate::mcp) struct CallParams<'a> {
    #[serde(borrow)]
    pub(in crate::mcp) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(in crate::mcp) arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    pub(in crate::mcp) meta: Option<&'a RawValue>,
    #[serde(borrow, rename = "inputResponses")]
    input_responses: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestState")]
    request_state: Option<&'a RawValue>,
    /// The members of `_meta`, where one of them concerns this hop; read once for all who ask.
    #[serde(skip)]
    hop_meta: Option<BTreeMap<String, &'a RawValue>>,
}

/// Whether the headers leave a request to the revisions with a handshake.
fn names_handshake_era(headers: &HeaderMap) -> bool {
    headers
        .get(PROTOCOL_VERSION_HEADER)
        .is_none_or(|version| HANDSHAKE_VERSIONS.iter().any(|known| version == known))
}

/// Whether a client of the handshake era speaks in a session. We issue none, so it is some other gateway's and
/// gone: by the transport's rules the client has to hear 404, and initializes anew. Later revisions know no
/// sessions and have the header ignored.
pub(in crate::mcp) fn names_lost_session(headers: &HeaderMap) -> bool {
    headers.contains_key("mcp-session-id") && names_handshake_era(headers)
}

impl<'a> CallParams<'a> {
    /// Reads the parameters; says in a sentence what is wrong.
    pub(in crate::mcp) fn read(params: Option<&'a RawValue>) -> Result<Self, &'static str> {
        let text = params.ok_or("`params` is missing")?.get();
        let mut params: Self = read_object(text).ok_or("`params` must hold the `name` of a tool")?;
        // Read by place, the items of a list would pass for members.
        if !text.starts_with('{') {
            return Err("`params` must be an object");
        }
        if params.arguments.is_some_and(|raw| !raw.get().starts_with('{')) {
            return Err("`arguments` must be an object");
        }
        if params.meta.is_some_and(|raw| !raw.get().starts_with('{')) {
            return Err("`_meta` must be an object");
        }
        let concerns_hop =
            |raw: &&RawValue| [PER_HOP_META, PROGRESS_META].iter().any(|key| raw.get().contains(key));
        let meta = params.meta.filter(concerns_hop);
        params.hop_meta = meta.and_then(|raw| serde_json::from_str(raw.get()).ok());
        Ok(params)
    }

    /// Whether the request follows a revision with a handshake, so that nothing about it needs checking beyond
    /// what was read. Unknown versions are left to `rmcp`, which knows how to refuse them.
    pub(in crate::mcp) fn is_handshake_era(&self, headers: &HeaderMap) -> bool {
        names_handshake_era(headers) && self.hop_member(PROTOCOL_VERSION_META).is_none()
    }

    /// The `_meta` for the upstream: without what described this hop, and absent when nothing is left.
    pub(in crate::mcp) fn meta_for_upstream(&self) -> Option<RawJson> {
        let is_of_hop = |key: &String| key.starts_with(PER_HOP_META);
        let Some(members) = self.hop_meta.as_ref().filter(|members| members.keys().any(is_of_hop)) else {
            return self.meta.map(RawJson::from);
        };
        let kept: BTreeMap<_, _> = members.iter().filter(|(key, _)| !is_of_hop(key)).collect();
        if kept.is_empty() {
            return None;
        }
        let kept = serde_json::value::to_raw_value(&kept).ok()?;
        Some(RawJson::from(&*kept))
    }

    /// What a tool may ask the caller, and what the caller answers; says in a sentence what is wrong.
    pub(in crate::mcp) fn dialog(&self) -> Result<Dialog, &'static str> {
        let is_there = |raw: &&RawValue| raw.get() != "null";
        let input_responses = self.input_responses.filter(is_there);
        if input_responses.is_some_and(|raw| !raw.get().starts_with('{')) {
            return Err("`inputResponses` must be an object");
        }
        let request_state = self.request_state.filter(is_there);
        let request_state = request_state.map(|raw| serde_json::from_str(raw.get()));
        Ok(Dialog {
            capabilities: self.capabilities(),
            input_responses: input_responses.map(RawJson::from),
            request_state: request_state.transpose().map_err(|_| "`requestState` must be a text")?,
        })
    }

    /// Of what the caller can do, that which a tool may ask it. The rest concerns this hop alone.
    fn capabilities(&self) -> Option<RawJson> {
        let mut members: BTreeMap<String, &RawValue> =
            serde_json::from_str(self.hop_member(CAPABILITIES_META)?.get()).ok()?;
        members.retain(|name, _| ASKABLE.contains(&name.as_str()));
        if members.is_empty() {
            return None;
        }
        serde_json::value::to_raw_value(&members).ok().map(|kept| RawJson::from(&*kept))
    }

    /// What the caller wants to hear while a tool runs. Clients of the handshake era say in a session which log
    /// messages they want, and there is none: they hear of progress only.
    pub(in crate::mcp) fn wishes(&self, is_handshake_era: bool) -> Option<Wishes> {
        let is_token =
            |raw: &&RawValue| raw.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
        let progress_token = self.hop_member(PROGRESS_META).filter(is_token).map(ToOwned::to_owned);
        let level = self.hop_member(LOG_META).filter(|_| !is_handshake_era);
        let log_level: Option<String> = level.and_then(|raw| serde_json::from_str(raw.get()).ok());
        (progress_token.is_some() || log_level.is_some()).then_some(Wishes { progress_token, log_level })
    }

    /// The members of `_meta` that describe this hop alone.
    pub(in crate::mcp) fn hop_members(&self) -> BTreeMap<&str, &'a RawValue> {
        let members = self.hop_meta.iter().flatten().filter(|(key, _)| key.starts_with(PER_HOP_META));
        members.map(|(key, value)| (key.as_str(), *value)).collect()
    }

    /// A member of `_meta` that concerns this hop.
    pub(in crate::mcp) fn hop_member(&self, key: &str) -> Option<&'a RawValue> {
        self.hop_meta.as_ref()?.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> CallParams<'_> {
        CallParams::read(Some(serde_json::from_str(text).unwrap())).unwrap()
    }

    #[test]
    fn call_parameters_are_checked() {
        let read = |text| CallParams::read(Some(serde_json::from_str(text).unwrap())).map(|_| ());
        assert!(CallParams::read(None).is_err());
        for bad in [
            "{}",
            "[]",
            r#"["x",{},null,null,null]"#,
            r#"{"name":5}"#,
            r#"{"name":"x","arguments":[1]}"#,
            r#"{"name":"x","_meta":1}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(r#"["x",{},{},{},"s"]"#).is_err(), "members have names");
        assert_eq!(read(r#"{"name":"x","arguments":null}"#), Ok(()));
    }

    #[test]
    fn eras_are_told_by_header_and_meta() {
        let with = |version: &'static str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static(PROTOCOL_VERSION_HEADER),
                http::HeaderValue::from_static(version),
            )])
        };
        let plain = r#"{"name":"x","_meta":{"progressToken":1}}"#;
        let stamped = r#"{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
        assert!(params(plain).is_handshake_era(&HeaderMap::new()));
        assert!(params(plain).is_handshake_era(&with("2025-06-18")));
        assert!(!params(plain).is_handshake_era(&with("2026-07-28")));
        assert!(!params(plain).is_handshake_era(&with("nonsense")));
        assert!(!params(stamped).is_handshake_era(&HeaderMap::new()));
    }

    #[test]
    fn meta_of_this_hop_stays_here_and_the_rest_travels_untouched() {
        let meta = |text| params(text).meta_for_upstream().map(|raw| raw.as_str().to_owned());
        assert_eq!(meta(r#"{"name":"x"}"#), None);
        assert_eq!(meta(r#"{"name":"x","_meta":{ "k" : 1e400 }}"#).unwrap(), r#"{ "k" : 1e400 }"#);
        let hop = r#"{"name":"x","_meta":{"io.modelcontextprotocol/clientInfo":{},"k":1}}"#;
        assert_eq!(meta(hop).unwrap(), r#"{"k":1}"#);
        assert_eq!(meta(r#"{"name":"x","_meta":{"io.modelcontextprotocol/clientInfo":{}}}"#), None);
    }
}
