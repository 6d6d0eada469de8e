//! Whatever a tool answers arrives as it was sent, however the reply is cut into pieces.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use toolplane_registry::protocol::Revision;
use toolplane_registry::{Protocol, RawJson};
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::fake_upstream::Era;
use toolplane_upstream::client::{Target, ToolResult};

use crate::{call, client, complete, target};

/// One result, with its parts as they are spelled.
#[derive(Debug, Clone)]
struct Sent {
    text: String,
    content: Vec<String>,
    structured: Option<String>,
    is_error: Option<bool>,
    meta: Option<String>,
    extra: Vec<(String, String)>,
}

/// A string as JSON: every character spelled as it is or by its number.
fn string() -> impl Strategy<Value = String> {
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
        if serde_json::from_str::<&serde_json::value::RawValue>(&format!("\"{text}\"")).is_ok() {
            format!("\"{text}\"")
        } else {
            "\"\"".to_owned()
        }
    })
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,40})",
        "-?(0|[1-9][0-9]{0,5})\\.[0-9]{1,30}",
        "-?[1-9](\\.[0-9]{1,5})?[eE][+-]?[0-9]{1,4}",
        Just("1e400".to_owned()),
        Just("-0.0".to_owned()),
    ]
}

/// White space without line ends, which an event stream could not carry.
fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just(" "), Just("\t"), Just("  ")]
}

fn json() -> impl Strategy<Value = String> {
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

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member =
        (string(), space(), value).prop_map(|(key, space, value)| format!("{key}{space}:{space}{value}"));
    (prop::collection::vec(member, 0..4), space())
        .prop_map(|(members, space)| format!("{{{space}{}}}", members.join(&format!(",{space}"))))
}

fn sent() -> impl Strategy<Value = Sent> {
    let block = prop_oneof![3 => object(json()), 1 => json()];
    let extra = ("x[a-z]{1,6}", json());
    let parts = (
        prop::collection::vec(block, 0..4),
        prop::option::of(json()),
        prop::option::of(any::<bool>()),
        prop::option::of(object(json())),
        prop::collection::vec(extra, 0..3),
        space(),
    );
    (parts, any::<prop::sample::Index>()).prop_map(
        |((content, structured, is_error, meta, extra, space), at)| {
            let mut members = vec![format!(r#""content":{space}[{}]"#, content.join(","))];
            members.extend(structured.iter().map(|value| format!(r#""structuredContent":{value}"#)));
            members.extend(is_error.map(|value| format!(r#""isError":{value}"#)));
            members.extend(meta.iter().map(|value| format!(r#""_meta":{space}{value}"#)));
            members.extend(extra.iter().map(|(key, value)| format!("{}:{value}", serde_json::json!(key))));
            let first = at.index(members.len());
            members.rotate_left(first);
            let text = format!("{{{space}{}{space}}}", members.join(&format!("{space},")));
            Sent { text, content, structured, is_error, meta, extra }
        },
    )
}

fn spelled(json: &RawJson) -> String {
    json.as_str().to_owned()
}

fn compare(sent: &Sent, received: &ToolResult) -> Result<(), TestCaseError> {
    prop_assert_eq!(received.content.iter().map(spelled).collect::<Vec<_>>(), sent.content.clone());
    prop_assert_eq!(received.structured_content.as_ref().map(spelled), sent.structured.clone());
    prop_assert_eq!(received.is_error, sent.is_error.unwrap_or(false));
    prop_assert_eq!(received.meta.as_ref().map(spelled), sent.meta.clone());
    let mut extra: Vec<(String, String)> =
        received.extra.iter().map(|(key, value)| (key.clone(), spelled(value))).collect();
    let mut expected = sent.extra.clone();
    extra.sort();
    expected.sort();
    prop_assert_eq!(extra, expected);
    Ok(())
}

#[test]
fn results_arrive_to_the_letter_in_json_and_in_event_streams_however_they_are_cut() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let upstream = runtime.block_on(FakeUpstream::builder().tool("a").stateless().era(Era::Both).start());
    let client = client();
    let sessionless = Protocol::Handshake { revision: Revision::V2025_11_25, sessions: false };
    // A failure prints the case, and the seed with it.
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let cases = (sent(), any::<bool>(), any::<bool>(), prop::collection::vec(1_usize..40, 0..6));
    let outcome = runner.run(&cases, |(sent, sse, is_stateless, pieces)| {
        upstream.set_result("a", &sent.text);
        upstream.set_sse(sse);
        upstream.set_pieces(&pieces);
        let protocol = if is_stateless { Protocol::Stateless } else { sessionless };
        let target = Target { protocol, ..target(&upstream) };
        let received = runtime.block_on(complete(&client, &target, &call("a", "{}")));
        compare(&sent, &received.map_err(|error| TestCaseError::fail(error.to_string()))?)
    });
    outcome.unwrap();
}
