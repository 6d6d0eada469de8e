//! What the stateless revision asks for on top of a message: `_meta` that says who speaks, and headers that repeat
//! the body so that a load balancer can route without reading it.
//!
//! Pure. The caller's `_meta` keeps its members as they were sent; those that describe one hop are replaced by ours.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use toolplane_registry::RawJson;
use toolplane_registry::protocol::STATELESS;

use super::message::read;
use super::result::{Members, members};

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const PARAMETER_PREFIX: &str = "mcp-param-";
/// The keyword by which a tool's schema asks for an argument to be repeated in a header.
const PARAMETER_KEYWORD: &str = "x-mcp-header";
/// Keys of `_meta` that belong to one hop.
const RESERVED: &str = "io.modelcontextprotocol/";
/// Our own members of `_meta`, around what the caller is able to do.
const BEFORE_CAPABILITIES: &str = concat!(
    r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":"#
);
const AFTER_CAPABILITIES: &str = concat!(
    r#","io.modelcontextprotocol/clientInfo":{"name":"toolplane","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}"#
);
/// As much as they take, with a level of log messages.
const LONGEST_STAMP: usize = 320;
/// Deepest nesting of `properties` that is followed in search of the keyword.
const MAX_DEPTH: usize = 16;
/// Longest value that is repeated in a header.
const MAX_VALUE_BYTES: usize = 4096;

/// What a server says of itself when discovered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Discovery {
    /// Whether it speaks the revision that this client speaks.
    pub(super) speaks_ours: bool,
    pub(super) server_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DiscoverFields {
    supported_versions: Vec<String>,
    #[serde(default)]
    server_info: Option<Value>,
    #[serde(default, rename = "_meta")]
    meta: Option<Value>,
}

// ---- body ----

/// The `_meta` of a request: the caller's members, then ours.
pub(super) fn stamp(meta: Option<&RawJson>) -> RawJson {
    // Nothing but valid pieces goes in.
    RawJson::parse(&stamp_for(meta, None, None))
        .unwrap_or_else(|_| RawJson::from(&Value::Object(serde_json::Map::new())))
}

/// The same on behalf of a caller who has capabilities, or wants log messages. It is made for every call.
pub(super) fn stamp_for(
    meta: Option<&RawJson>,
    capabilities: Option<&RawJson>,
    log_level: Option<&str>,
) -> String {
    let given = meta.and_then(|meta| members(meta.as_str()).ok()).unwrap_or_default();
    let capabilities = capabilities.map_or("{}", RawJson::as_str);
    let length = LONGEST_STAMP + capabilities.len() + meta.map_or(0, |meta| meta.as_str().len());
    let mut text = String::with_capacity(length);
    text.push('{');
    for (key, value) in given.iter().filter(|(key, _)| !key.starts_with(RESERVED)) {
        text.push_str(&Value::from(&**key).to_string());
        text.push(':');
        text.push_str(value.get());
        text.push(',');
    }
    if let Some(level) = log_level {
        let level = Value::from(level);
        text.push_str(&[r#"""#, RESERVED, r#"logLevel":"#, &level.to_string(), ","].concat());
    }
    text.push_str(BEFORE_CAPABILITIES);
    text.push_str(capabilities);
    text.push_str(AFTER_CAPABILITIES);
    text
}

/// Reads the result of `server/discover`; `None` where it is none, whatever else it is.
pub(super) fn parse_discovery(result: &RawValue) -> Option<Discovery> {
    let DiscoverFields { supported_versions, server_info, meta } = read(result.get().as_bytes()).ok()?;
    let in_meta = meta.as_ref().and_then(|meta| meta.get("io.modelcontextprotocol/serverInfo"));
    let name = in_meta.or(server_info.as_ref()).and_then(|info| info.get("name")).and_then(Value::as_str);
    Some(Discovery {
        speaks_ours: supported_versions.iter().any(|version| version == STATELESS),
        server_name: name.map(ToOwned::to_owned),
    })
}

// ---- headers ----

/// Adds the headers that repeat the body.
pub(super) fn mirror(headers: &mut HeaderMap, method: &'static str, name: Option<&str>) {
    headers.insert(METHOD, HeaderValue::from_static(method));
    if let Some(value) = name.and_then(header_value) {
        headers.insert(NAME, value);
    }
}

/// Adds a header for every argument whose schema asks for one.
pub(super) fn mirror_arguments(
    headers: &mut HeaderMap,
    schema: Option<&RawJson>,
    arguments: Option<&RawJson>,
) {
    // Nearly no schema has the keyword, and looking for its letters is cheap.
    let Some(schema) = schema.filter(|schema| schema.as_str().contains(PARAMETER_KEYWORD)) else { return };
    let (Ok(schema), Some(Ok(arguments))) = (schema.to_value(), arguments.map(|raw| members(raw.as_str())))
    else {
        return;
    };
    collect(headers, &schema, &arguments, 0);
}

fn collect(headers: &mut HeaderMap, schema: &Value, arguments: &Members<'_>, depth: usize) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        let Some((_, given)) = arguments.iter().rev().find(|(key, _)| key == name) else { continue };
        if let Some(header) = property.get(PARAMETER_KEYWORD).and_then(Value::as_str)
            && let Ok(header) = HeaderName::try_from(format!("{PARAMETER_PREFIX}{header}"))
            && let Some(value) = primitive(given).as_deref().and_then(header_value)
        {
            headers.insert(header, value);
        }
        if depth < MAX_DEPTH
            && property.get("properties").is_some()
            && let Ok(inner) = members(given.get())
        {
            collect(headers, property, &inner, depth + 1);
        }
    }
}

/// An argument as a header says it. Numbers keep their spelling; what is no primitive has none.
fn primitive(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.get().to_owned()),
    }
}

/// A text as a header value; what a header cannot say travels in Base64, marked as such.
fn header_value(text: &str) -> Option<HeaderValue> {
    if text.len() > MAX_VALUE_BYTES {
        return None;
    }
    let is_plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && text.trim() == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    let mut value = if is_plain {
        HeaderValue::try_from(text).ok()?
    } else {
        HeaderValue::try_from(format!("=?base64?{}?=", BASE64_STANDARD.encode(text))).ok()?
    };
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text).unwrap()
    }

    #[test]
    fn the_callers_meta_keeps_its_letters_and_loses_what_belonged_to_its_hop() {
        let caller = raw(r#"{"b":1e400,"io.modelcontextprotocol/clientInfo":{"name":"x"},"a\u0020":[ 1 ]}"#);
        let text = stamp(Some(&caller)).as_str().to_owned();
        assert!(
            text.starts_with(
                r#"{"b":1e400,"a ":[ 1 ],"io.modelcontextprotocol/protocolVersion":"2026-07-28","#
            ),
            "{text}"
        );
        assert_eq!(text.matches("clientInfo").count(), 1, "{text}");
        let alone: Value = serde_json::from_str(stamp(None).as_str()).unwrap();
        assert_eq!(alone["io.modelcontextprotocol/protocolVersion"], STATELESS);
        let full = stamp_for(None, Some(&raw(r#"{"roots":{}}"#)), Some("emergency"));
        let full: Value = serde_json::from_str(&full).unwrap();
        assert_eq!(full["io.modelcontextprotocol/logLevel"], "emergency");
        assert_eq!(full["io.modelcontextprotocol/clientCapabilities"], serde_json::json!({"roots": {}}));
        assert_eq!(alone["io.modelcontextprotocol/clientCapabilities"], serde_json::json!({}));
    }

    #[test]
    fn a_discovery_is_told_from_a_polite_nothing() {
        let read = |text: &str| parse_discovery(&serde_json::from_str::<Box<RawValue>>(text).unwrap());
        let found = read(
            r#"{"supportedVersions":["2026-07-28"],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}"#,
        );
        assert_eq!(found, Some(Discovery { speaks_ours: true, server_name: Some("s".to_owned()) }));
        assert!(!read(r#"{"supportedVersions":["2031-01-01"]}"#).unwrap().speaks_ours);
        for text in ["{}", "[]", r#"{"supportedVersions":"2026-07-28"}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    fn mirrored(name: &str) -> String {
        let mut headers = HeaderMap::new();
        mirror(&mut headers, "tools/call", Some(name));
        assert_eq!(headers.get("mcp-method").unwrap(), "tools/call");
        headers.get("mcp-name").map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn names_that_no_header_can_say_travel_in_base64() {
        assert_eq!(mirrored("search_people"), "search_people");
        assert_eq!(mirrored("größe"), "=?base64?Z3LDtsOfZQ==?=");
        assert_eq!(mirrored(" x"), "=?base64?IHg=?=");
        assert_eq!(mirrored("=?base64?eA==?="), "=?base64?PT9iYXNlNjQ/ZUE9PT89?=");
        assert_eq!(mirrored("a\r\nb"), "=?base64?YQ0KYg==?=");
    }

    #[test]
    fn arguments_are_repeated_where_their_schema_asks_for_it() {
        let schema = raw(
            r#"{"properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"x-mcp-header":"N"},
            "deep":{"properties":{"flag":{"x-mcp-header":"Flag"}}},"list":{"x-mcp-header":"List"},
            "bad":{"x-mcp-header":"a b"},"absent":{"x-mcp-header":"Absent"}}}"#,
        );
        let arguments =
            raw(r#"{"region":"eu","n":12345678901234567890123,"deep":{"flag":true},"list":[1],"bad":"x"}"#);
        let mut headers = HeaderMap::new();
        mirror_arguments(&mut headers, Some(&schema), Some(&arguments));
        let mut shown: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        shown.sort();
        assert_eq!(
            shown,
            ["mcp-param-flag: true", "mcp-param-n: 12345678901234567890123", "mcp-param-region: eu"]
        );
    }
}
