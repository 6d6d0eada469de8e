//! Updates as a control plane sends them: made by the code that makes them there, so that they are never of yesterday.

use prost::Message as _;
use toolplane_proto::encode;
use toolplane_proto::sync::Update;
use toolplane_registry::snapshot::{Builder, DomainSnapshot, Endpoint, Settings};
use toolplane_registry::test_util::{a_domain, a_tool};
use toolplane_registry::upstream::{Header, SessionMode};
use toolplane_registry::{Domain, RawJson, Secret, Snapshot, Tool, Version};

/// Keys, lengths and values of protocol buffers, and words that the model looks at.
pub(crate) const WORDS: &[&[u8]] = &[
    b"\x0a",
    b"\x12",
    b"\x1a",
    b"\x22",
    b"\x2a",
    b"\x32",
    b"\x3a",
    b"\x08",
    b"\x10",
    b"\x18",
    b"\x0a\x00",
    b"\x22\x00",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80",
    b"\x7f",
    b"\x0b",
    b"\x0c",
    b"{\"type\":\"object\"}",
    b"{\"$ref\":\"#\"}",
    b"[",
    b"{\"properties\":{\"a\":",
    b"1e400",
    b"\"",
    b"a",
    b"_",
    b"*",
    b"{a,b}",
    b"[!x]",
    b"http://",
    b"\xc3\xa9",
    b"search",
    b"apollo",
];

/// Encoded updates of several kinds.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    let (small, rich) = (small(), rich());
    let full = encode::full_update(&rich, "n1".to_owned());
    let delta = Update { full: false, ..full.clone() };
    let removal = Update { changed: Vec::new(), removed: vec!["apollo".to_owned()], ..delta.clone() };
    let updates = [encode::full_update(&small, "n0".to_owned()), full, delta, removal];
    updates.iter().map(Update::encode_to_vec).collect()
}

fn small() -> Snapshot {
    Builder::new(Version::new("store", 1)).domain(a_domain("a", vec![a_tool("x")])).build().unwrap()
}

/// A snapshot in which every field is used and names collide.
fn rich() -> Snapshot {
    let raw = |text: &str| Some(RawJson::parse(text).unwrap());
    let tool = Tool {
        input_schema: RawJson::parse(
            r##"{"type":"object","properties":{"q":{"$ref":"#/$defs/q"},"n":{"enum":[1,1e400,null]}},"required":["q"],"$defs":{"q":{"anyOf":[{"type":"string"},{"type":"null"}]}}}"##,
        )
        .unwrap(),
        output_schema: raw(r#"{"type":"object","properties":{"items":{"type":"array","items":{"type":"integer"}}}}"#),
        annotations: raw(r#"{"readOnlyHint":true,"x-raw-output-trusted":true}"#),
        meta: raw(r#"{"vendor":12345678901234567890123}"#),
        ..a_tool("search")
    };
    let endpoint = Endpoint {
        headers: vec![Header { name: "authorization".to_owned(), value: Secret::new("Bearer x".to_owned()) }],
        forward_headers: Some(vec!["x-*".to_owned(), "b[aeiou]*".to_owned()]),
        session_mode: SessionMode::Shared,
        config_id: "c1".to_owned(),
        ..Endpoint::plain("http://127.0.0.1:9/mcp")
    };
    let tools = vec![tool.into(), a_tool("apollo_people_find").into()];
    let apollo = DomainSnapshot::new(Domain::parse("apollo").unwrap(), "people".to_owned(), endpoint, tools);
    let settings = Settings { registration_enabled: true, ..Settings::default() };
    let builder = Builder::new(Version::new("store", 2)).settings(settings).domain(apollo);
    builder.domain(a_domain("hub", vec![a_tool("search"), a_tool("größe")])).build().unwrap()
}
