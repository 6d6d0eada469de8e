//! Whatever an upstream answers or lists reaches the caller as it was sent, whoever speaks which revision.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::value::RawValue;
use tokio::runtime::{self, Runtime};
use toolplane_data_plane::Options;
use toolplane_registry::protocol::Revision;
use toolplane_registry::snapshot::{DomainSnapshot, Endpoint};
use toolplane_registry::{Domain, Protocol, Version, ingest};
use toolplane_testkit::fake_upstream::Era;
use toolplane_testkit::generated::{SentResult, json, object, string, tool_result};
use toolplane_testkit::tokens::{Token, tokens};
use toolplane_testkit::{FakeControlPlane, FakeUpstream};
use toolplane_upstream::client::Target;
use toolplane_upstream::{Client, Connector, connector};

use crate::harness::{Node, PATIENCE, domain_at, snapshot};

const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"#;
const HEADERS: [(&str, &str); 3] =
    [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "execute_tool")];
const PROGRESS: &str = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":{token},\"progress\":1}}\n\n";

/// An object, its members as they are spelled.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// How one answer travels.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "four choices that have nothing to do with each other")]
struct Way {
    /// The revisions of caller and upstream.
    caller_is_stateless: bool,
    upstream_is_stateless: bool,
    /// The upstream answers with an event stream.
    sse: bool,
    /// It says something before, and the caller wants to hear it: the caller's answer is an event stream, too.
    is_heard: bool,
    /// How the upstream's answer is cut.
    pieces: Vec<usize>,
}

/// A node in front of upstreams that say whatever a case wants.
struct World {
    plain: FakeUpstream,
    chatty: FakeUpstream,
    node: Node,
    _control_plane: FakeControlPlane,
}

fn ways() -> impl Strategy<Value = Way> {
    let pieces = prop::collection::vec(1_usize..40, 0..6);
    (any::<[bool; 4]>(), pieces).prop_map(|([caller, upstream, sse, is_heard], pieces)| Way {
        caller_is_stateless: caller,
        upstream_is_stateless: upstream,
        sse,
        is_heard,
        pieces,
    })
}

impl World {
    async fn start() -> Self {
        let builder = || FakeUpstream::builder().stateless().era(Era::Both);
        let (plain, chatty) = (builder().start().await, builder().sse_preamble(PROGRESS).start().await);
        let handshake = Protocol::Handshake { revision: Revision::V2025_11_25, sessions: false };
        let mut domains = Vec::new();
        for (name, upstream) in [("plain", &plain), ("chatty", &chatty)] {
            for (era, protocol) in [("stateless", Protocol::Stateless), ("handshake", handshake)] {
                let endpoint = Endpoint { protocol, ..Endpoint::plain(upstream.url()) };
                domains.push(domain_at(&format!("{name}-{era}"), endpoint, &["x"]));
            }
        }
        let control_plane = FakeControlPlane::start().await;
        control_plane.publish(&snapshot(1, domains));
        let node = Node::following(&control_plane, 1, Options::default()).await;
        Self { plain, chatty, node, _control_plane: control_plane }
    }

    /// What the caller receives of a result.
    async fn send(&self, sent: &SentResult, way: &Way) -> String {
        let (name, upstream) = if way.is_heard { ("chatty", &self.chatty) } else { ("plain", &self.plain) };
        upstream.set_result("x", &sent.text);
        upstream.set_sse(way.sse || way.is_heard);
        upstream.set_pieces(&way.pieces);
        let era = if way.upstream_is_stateless { "stateless" } else { "handshake" };
        let stamp = if way.caller_is_stateless { META } else { "" };
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"execute_tool","arguments":{{"tool_name":"{name}-{era}_x"}},"_meta":{{{stamp}"progressToken":7}}}}}}"#
        );
        let tool = [("mcp-param-tool", format!("{name}-{era}_x"))];
        let mut headers: Vec<(&str, &str)> = tool.iter().map(|(name, tool)| (*name, tool.as_str())).collect();
        headers.extend(HEADERS);
        let headers = if way.caller_is_stateless { &headers[..] } else { &[] };
        let answer = self.node.rpc_with(&message, headers).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let is_stream = answer.headers["content-type"] == "text/event-stream";
        assert_eq!(is_stream, way.is_heard, "what is said is heard: {}", answer.body);
        if !is_stream {
            return answer.body;
        }
        let last = answer.body.trim_end().rsplit("\n\n").next().unwrap();
        last.strip_prefix("event: message\ndata: ").unwrap().to_owned()
    }
}

/// The texts of a result as the caller reads them, and the blocks beside them.
fn split(content: &[String]) -> (String, Vec<&str>) {
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    for block in content {
        let members: Option<Members<'_>> = serde_json::from_str(block).ok();
        let is_text =
            |members: &Members<'_>| members.get("type").is_some_and(|kind| kind.get() == "\"text\"");
        let text = members.filter(is_text).and_then(|members| members.get("text").copied());
        match text.and_then(|text| serde_json::from_str::<String>(text.get()).ok()) {
            Some(text) => texts.push(text),
            None => others.push(block.as_str()),
        }
    }
    (texts.join("\n"), others)
}

fn compare(sent: &SentResult, way: &Way, received: &str) -> Result<(), TestCaseError> {
    let message: Members<'_> = serde_json::from_str(received).unwrap();
    let mut result: Members<'_> = serde_json::from_str(message["result"].get()).unwrap();
    let mut take = |name: &str| result.remove(name).map(|raw| raw.get().to_owned());
    prop_assert_eq!(take("resultType"), way.caller_is_stateless.then(|| "\"complete\"".to_owned()));
    prop_assert_eq!(take("isError"), Some(sent.is_error.unwrap_or(false).to_string()));
    prop_assert_eq!(take("structuredContent"), sent.structured.clone());
    prop_assert_eq!(take("_meta"), sent.meta.clone());
    let content = take("content").unwrap();
    let blocks: Vec<&RawValue> = serde_json::from_str(&content).unwrap();
    let (envelope, blocks) = blocks.split_first().unwrap();
    let (text, others) = split(&sent.content);
    prop_assert_eq!(blocks.iter().map(|block| block.get()).collect::<Vec<_>>(), others);
    compare_envelope(envelope.get(), sent.is_error == Some(true), &text)?;
    let extra: Vec<(String, String)> =
        result.iter().map(|(name, value)| (name.clone(), value.get().to_owned())).collect();
    prop_assert_eq!(&extra, &sent.extra, "and nothing else");
    Ok(())
}

fn compare_envelope(block: &str, is_error: bool, text: &str) -> Result<(), TestCaseError> {
    let block: serde_json::Value = serde_json::from_str(block).unwrap();
    prop_assert_eq!(&block["type"], "text");
    let envelope: serde_json::Value = serde_json::from_str(block["text"].as_str().unwrap()).unwrap();
    prop_assert_eq!(&envelope[if is_error { "error" } else { "result" }], text);
    prop_assert_eq!(envelope["code"].as_str(), is_error.then_some("upstream_error"));
    Ok(())
}

fn runtime() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A failure prints the case, and the seed with it.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

#[test]
fn results_reach_callers_of_both_eras_as_upstreams_of_both_eras_sent_them() {
    let runtime = runtime();
    let world = runtime.block_on(World::start());
    let outcome = runner(200).run(&(tool_result(), ways()), |(sent, way)| {
        let received = runtime.block_on(world.send(&sent, &way));
        compare(&sent, &way, &received)
    });
    outcome.unwrap();
}

// ---- listings ----

/// A tool as it is listed, or something that is none.
#[derive(Debug, Clone)]
enum Listed {
    Tool {
        description: String,
        input: String,
        output: Option<String>,
        annotations: Option<String>,
        more: String,
    },
    Malformed(String),
}

/// JSON without lone halves of surrogate pairs, which no schema may hold.
fn readable() -> impl Strategy<Value = String> {
    let is_readable = |token: &Token| match token {
        Token::Text(units) => String::from_utf16(units).is_ok(),
        Token::Mark(_) | Token::Literal(_) => true,
    };
    json().prop_filter("half a surrogate pair", move |text| tokens(text).iter().all(is_readable))
}

fn listed() -> impl Strategy<Value = Listed> {
    let schema =
        || readable().prop_map(|any| format!(r#"{{"x-any": {any},"type":"object","maximum":1e400}}"#));
    let optional = (prop::option::of(schema()), prop::option::of(object(json())));
    let tool = (string(), schema(), optional, json()).prop_map(
        |(description, input, (output, annotations), more)| Listed::Tool {
            description,
            input,
            output,
            annotations,
            more,
        },
    );
    let malformed = prop_oneof![
        json(),
        Just(r#"{"name":5,"inputSchema":{"type":"object"}}"#.to_owned()),
        Just(r#"{"name":"no_schema"}"#.to_owned()),
        Just(r#"{"name":"a_list","inputSchema":[]}"#.to_owned()),
        Just(r#"{"name":"\ud800","inputSchema":{}}"#.to_owned()),
        Just(r##"{"name":"nowhere","inputSchema":{"$ref":"#/gone"}}"##.to_owned()),
        Just(format!(r#"{{"name":"deep","inputSchema":{{"a":{}1{}}}}}"#, "[".repeat(300), "]".repeat(300))),
    ];
    prop_oneof![2 => tool, 1 => malformed.prop_map(Listed::Malformed)]
}

impl Listed {
    /// As it is listed at that place.
    fn text(&self, place: usize) -> String {
        match self {
            Self::Malformed(text) => text.clone(),
            Self::Tool { description, input, output, annotations, more } => {
                let member = |name: &str, value: &Option<String>| {
                    value.as_ref().map_or_else(String::new, |value| format!(r#""{name}":{value},"#))
                };
                let (output, annotations) =
                    (member("outputSchema", output), member("annotations", annotations));
                format!(
                    r#"{{"more":{more},{output}"name":"t{place}",{annotations}"description":{description},"inputSchema":{input}}}"#
                )
            }
        }
    }
}

/// Lists over the wire, admits as a control plane does, and has a node serve it.
async fn publish(
    listing: &[Listed],
    upstream: &FakeUpstream,
    client: &Client,
    plane: &FakeControlPlane,
    number: u64,
) {
    let texts: Vec<String> = listing.iter().enumerate().map(|(place, listed)| listed.text(place)).collect();
    upstream.set_tools(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let tools = client.list_tools(&Target::plain(upstream.url()), PATIENCE).await.unwrap().tools;
    let name = Domain::parse("lists").unwrap();
    let admitted = ingest::admit(&name, &tools, &ingest::Rules::default());
    let endpoint = Endpoint::plain(upstream.url());
    plane
        .publish(&snapshot(number, vec![DomainSnapshot::new(name, String::new(), endpoint, admitted.tools)]));
}

async fn compare_schema(node: &Node, place: usize, listed: &Listed) -> Result<(), TestCaseError> {
    let Listed::Tool { input, output, annotations, .. } = listed else { return Ok(()) };
    let answer = node.call("get_tool_schema", &format!(r#"{{"tool_name":"t{place}"}}"#)).await;
    let shown = answer["content"][0]["text"].as_str().unwrap();
    let shown: Members<'_> = serde_json::from_str(shown).unwrap();
    for (member, sent) in
        [("parameters", Some(input)), ("output", output.as_ref()), ("annotations", annotations.as_ref())]
    {
        let shown = shown.get(member).map(|raw| tokens(raw.get()));
        prop_assert_eq!(shown, sent.map(|sent| tokens(sent)), "`{}` of t{}", member, place);
    }
    Ok(())
}

#[test]
fn tools_are_shown_as_they_were_listed_whatever_is_listed_beside_them() {
    let runtime = runtime();
    let (upstream, plane) = runtime.block_on(async {
        (FakeUpstream::builder().stateless().start().await, FakeControlPlane::start().await)
    });
    plane.publish(&snapshot(1, Vec::new()));
    let node = runtime.block_on(Node::following(&plane, 1, Options::default()));
    let client = Client::new(Connector::new(connector::Options::default()).unwrap());
    let number = std::cell::Cell::new(1);
    let outcome = runner(60).run(&prop::collection::vec(listed(), 1..8), |listing| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            publish(&listing, &upstream, &client, &plane, number.get()).await;
            prop_assert!(node.live().wait_for(&Version::new("store", number.get()), PATIENCE).await);
            let tools = listing.iter().filter(|listed| matches!(listed, Listed::Tool { .. })).count();
            prop_assert_eq!(node.live().load().snapshot().tool_count(), tools);
            for (place, listed) in listing.iter().enumerate() {
                compare_schema(&node, place, listed).await?;
            }
            Ok(())
        })
    });
    outcome.unwrap();
}
