//! JSON in every spelling, and tool results made of it: strategies of property tests.
//!
//! Owns what may be sent and how its parts are spelled. Never parses what it makes into values: those would lose what
//! the tests look for.

use proptest::prelude::*;
use serde_json::value::RawValue;

/// The result of a tool, with its parts as they are spelled.
#[derive(Debug, Clone)]
pub struct SentResult {
    /// The whole.
    pub text: String,
    /// The content blocks.
    pub content: Vec<String>,
    /// The structured content.
    pub structured: Option<String>,
    /// Whether it says that it is a failure.
    pub is_error: Option<bool>,
    /// The `_meta` object.
    pub meta: Option<String>,
    /// Members that nobody knows, by name.
    pub extra: Vec<(String, String)>,
}

/// A string as JSON: every character spelled as it is or by its number.
pub fn string() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        "[a-z ]".prop_map(|c| c),
        "\\PC".prop_map(|c| serde_json::to_string(&c).unwrap().trim_matches('"').to_owned()),
        (0_u16..=u16::MAX).prop_map(|unit| format!("\\u{unit:04X}")),
        Just("\\/".to_owned()),
        Just("\\n".to_owned()),
    ];
    prop::collection::vec(character, 0..8).prop_map(|characters| {
        let text: String = characters.concat();
        // A quotation mark or a backslash that stands alone would end the string.
        if serde_json::from_str::<&RawValue>(&format!("\"{text}\"")).is_ok() {
            format!("\"{text}\"")
        } else {
            "\"\"".to_owned()
        }
    })
}

/// A number, beyond every machine's own if need be.
pub fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,40})",
        "-?(0|[1-9][0-9]{0,5})\\.[0-9]{1,30}",
        "-?[1-9](\\.[0-9]{1,5})?[eE][+-]?[0-9]{1,4}",
        Just("1e400".to_owned()),
        Just("-0.0".to_owned()),
    ]
}

/// White space without line ends, which an event stream could not carry.
pub fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just(" "), Just("\t"), Just("  ")]
}

/// Any JSON.
pub fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number(),
        string(),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list = (prop::collection::vec(inner.clone(), 0..4), space());
        prop_oneof![
            list.prop_map(|(items, space)| format!("[{space}{}]", items.join(&format!("{space},")))),
            object(inner),
        ]
    })
}

/// An object of such members.
pub fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member =
        (string(), space(), value).prop_map(|(key, space, value)| format!("{key}{space}:{space}{value}"));
    (prop::collection::vec(member, 0..4), space())
        .prop_map(|(members, space)| format!("{{{space}{}}}", members.join(&format!(",{space}"))))
}

/// A content block: of the types that there are, with members that nobody knows, or anything else.
pub fn block() -> impl Strategy<Value = String> {
    let annotated = |kind: &'static str| {
        (string(), json(), object(json())).prop_map(move |(own, unknown, annotations)| {
            let own = match kind {
                "text" => format!(r#""text":{own}"#),
                "image" | "audio" => format!(r#""data":{own},"mimeType":"a/b""#),
                _ => format!(r#""uri":{own},"icons":[{{"src":{own},"sizes":{unknown}}}]"#),
            };
            format!(r#"{{"x-unknown":{unknown},"type":"{kind}",{own},"annotations":{annotations}}}"#)
        })
    };
    prop_oneof![
        3 => annotated("text"),
        1 => annotated("image"),
        1 => annotated("resource_link"),
        1 => annotated("vendor/new"),
        1 => string().prop_map(|own| format!(r#"["text",{own}]"#)),
        2 => object(json()),
        1 => json(),
    ]
}

/// The result of a tool, its members in any order.
pub fn tool_result() -> impl Strategy<Value = SentResult> {
    let extra = ("x[a-z]{1,6}", json());
    let parts = (
        prop::collection::vec(block(), 0..4),
        prop::option::of(json()),
        prop::option::of(any::<bool>()),
        prop::option::of(object(json())),
        prop::collection::vec(extra, 0..3),
        space(),
    );
    (parts, any::<prop::sample::Index>()).prop_map(
        |((content, structured, is_error, meta, mut extra, space), at)| {
            extra.sort();
            extra.dedup_by(|a, b| a.0 == b.0);
            let mut members = vec![format!(r#""content":{space}[{}]"#, content.join(","))];
            members.extend(structured.iter().map(|value| format!(r#""structuredContent":{value}"#)));
            members.extend(is_error.map(|value| format!(r#""isError":{value}"#)));
            members.extend(meta.iter().map(|value| format!(r#""_meta":{space}{value}"#)));
            members.extend(extra.iter().map(|(key, value)| format!("\"{key}\":{value}")));
            let first = at.index(members.len());
            members.rotate_left(first);
            let text = format!("{{{space}{}{space}}}", members.join(&format!("{space},")));
            SentResult { text, content, structured, is_error, meta, extra }
        },
    )
}
