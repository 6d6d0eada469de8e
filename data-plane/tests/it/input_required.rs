//! Tools that ask for more input: the question passes a node, and the answer may come back by another.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use toolplane_data_plane::Options;
use toolplane_data_plane::hooks::{Configured, Context, Error, Hook, Identity, Phase, Phases, Place, Rules};
use toolplane_registry::snapshot::{Builder, Endpoint, Settings};
use toolplane_registry::{Protocol, RequestKey, Secret, Version};
use toolplane_testkit::fake_upstream::Era;
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

use crate::harness::{Answer, Node, domain_at, executes, inner};

const ASKS: &str = r#"{"resultType":"input_required","inputRequests":{"name":{"method":"elicitation/create","params":{"n":1e400}}},"requestState":"of the upstream","vendor":[ 1 ]}"#;
const VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_META: &str = "io.modelcontextprotocol/clientCapabilities";

struct Fleet {
    upstream: FakeUpstream,
    nodes: [Node; 2],
}

async fn fleet(options: Options, keys: Vec<RequestKey>) -> Fleet {
    let upstream = FakeUpstream::builder().tool("x").tool("y").era(Era::Stateless).result("x", ASKS);
    let upstream = upstream.start().await;
    let endpoint = Endpoint { protocol: Protocol::Stateless, ..Endpoint::plain(upstream.url()) };
    let snapshot = Builder::new(Version::new("store", 1))
        .settings(Settings { request_keys: keys, ..Settings::default() })
        .domain(domain_at("echo", endpoint, &["x", "y"]))
        .build()
        .unwrap();
    let control_plane = FakeControlPlane::start().await;
    control_plane.publish(&snapshot);
    let node = |node_id: &str| {
        let options = Options { node_id: node_id.to_owned(), ..options.clone() };
        Node::following(&control_plane, 1, options)
    };
    let nodes = [node("a").await, node("b").await];
    Fleet { upstream, nodes }
}

fn keys() -> Vec<RequestKey> {
    vec![RequestKey { id: "k".to_owned(), key: Secret::new([7; 32]), not_after: i64::MAX }]
}

/// Calls `execute_tool` in the stateless revision, with further members of `params`.
async fn call(node: &Node, token: &str, arguments: &Value, more: &[(&str, Value)]) -> Answer {
    call_with(node, &[("authorization", token)], arguments, more).await
}

async fn call_with(
    node: &Node,
    caller: &[(&str, &str)],
    arguments: &Value,
    more: &[(&str, Value)],
) -> Answer {
    let meta = json!({
        VERSION_META: "2026-07-28",
        CAPABILITIES_META: {"elicitation": {"form": {}}, "extensions": {"x": {}}},
    });
    let mut params = json!({"name": "execute_tool", "arguments": arguments, "_meta": meta});
    for (name, value) in more {
        params[*name] = value.clone();
    }
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let tool = arguments["tool_name"].as_str().unwrap();
    let headers = [&executes(tool)[..], caller].concat();
    node.rpc_with(&message.to_string(), &headers).await
}

fn tool(name: &str) -> Value {
    json!({"tool_name": name, "arguments": {"a": 1}})
}

async fn asked(fleet: &Fleet) -> Value {
    asked_as(fleet, &[("authorization", "Bearer a")]).await
}

async fn asked_as(fleet: &Fleet, caller: &[(&str, &str)]) -> Value {
    let answer = call_with(&fleet.nodes[0], caller, &tool("x"), &[]).await;
    for part in [
        r#""inputRequests":{"name":{"method":"elicitation/create","params":{"n":1e400}}}"#,
        r#""vendor":[ 1 ]"#,
    ] {
        assert!(answer.body.contains(part), "{part}: {}", answer.body);
    }
    assert!(answer.body.contains(r#""resultType":"input_required""#), "{}", answer.body);
    assert!(!answer.body.contains("of the upstream"), "the state is sealed");
    let state = answer.body.split(r#""requestState":""#).nth(1).unwrap().split('"').next().unwrap();
    Value::from(state)
}

#[tokio::test]
async fn a_question_passes_one_node_and_its_answer_comes_back_by_another() {
    let fleet = fleet(Options::default(), keys()).await;
    let state = asked(&fleet).await;
    let first = fleet.upstream.requests().pop().unwrap().params();
    assert_eq!(
        first["_meta"][CAPABILITIES_META],
        json!({"elicitation": {"form": {}}}),
        "only what can be asked"
    );
    assert!(first.get("requestState").is_none() && first.get("inputResponses").is_none());

    fleet.upstream.set_result("x", r#"{"content":[{"type":"text","text":"done"}]}"#);
    let responses = json!({"name": {"action": "accept", "content": {"name": "Ada"}}});
    let more = [("inputResponses", responses.clone()), ("requestState", state)];
    let answer = call(&fleet.nodes[1], "Bearer a", &tool("x"), &more).await.json();
    assert_eq!(inner(&answer["result"]), json!({"tool": "x", "result": "done"}));
    let second = fleet.upstream.requests().pop().unwrap().params();
    assert_eq!(second["requestState"], "of the upstream");
    assert_eq!(second["inputResponses"], responses);
    assert_eq!((&second["name"], &second["arguments"]), (&json!("x"), &json!({"a": 1})));
}

#[tokio::test]
async fn a_state_that_does_not_belong_to_the_call_is_refused_before_anything_is_sent() {
    let fleet = fleet(Options::default(), keys()).await;
    let state = asked(&fleet).await;
    let sent = fleet.upstream.count("tools/call");
    let node = &fleet.nodes[1];
    let with = |state: &Value| [("requestState", state.clone())];
    let other_arguments = json!({"tool_name": "x", "arguments": {"a": 2}});
    let mut changed = state.as_str().unwrap().to_owned();
    changed.replace_range(20..21, if &changed[20..21] == "A" { "B" } else { "A" });
    for (answer, word) in [
        (call(node, "Bearer b", &tool("x"), &with(&state)).await, "other_caller"),
        (call(node, "Bearer a", &tool("y"), &with(&state)).await, "other_tool"),
        (call(node, "Bearer a", &other_arguments, &with(&state)).await, "other_arguments"),
        (call(node, "Bearer a", &tool("x"), &with(&json!(changed))).await, "unreadable"),
        (call(node, "Bearer a", &tool("x"), &[("inputResponses", json!({}))]).await, "missing"),
    ] {
        let error = inner(&answer.json()["result"]);
        assert_eq!(error["code"], "invalid_argument", "{error}");
        assert_eq!(error["details"], json!({"meta_tool": "execute_tool", "request_state": word}));
    }
    let malformed = call(node, "Bearer a", &tool("x"), &[("requestState", json!(5))]).await.json();
    assert_eq!(malformed["error"]["code"], -32602);
    assert_eq!(fleet.upstream.count("tools/call"), sent);
}

/// Knows callers by a header that upstreams know nothing of.
#[derive(Debug)]
struct Names;

#[async_trait]
impl Hook for Names {
    fn phases(&self) -> Phases {
        [Phase::Authenticate].into_iter().collect()
    }

    async fn authenticate(&self, context: &Context<'_>) -> Result<Option<Identity>, Error> {
        let name = context.headers.get("x-user").and_then(|value| value.to_str().ok());
        Ok(name.map(|name| Identity { subject: name.to_owned(), ..Identity::default() }))
    }
}

#[tokio::test]
async fn a_state_belongs_to_whoever_the_hooks_say_was_asked() {
    let place = Place::InProcess(Arc::new(Names));
    let hooks = vec![Configured { name: "names".to_owned(), place, rules: Rules::default() }];
    let fleet = fleet(Options { hooks, ..Options::default() }, keys()).await;
    // Everybody comes with the same credential, as behind a proxy that has one of its own.
    let as_user = |name: &'static str| [("authorization", "Bearer shared"), ("x-user", name)];
    let state = asked_as(&fleet, &as_user("ann")).await;
    let sent = fleet.upstream.count("tools/call");
    let more = [("inputResponses", json!({})), ("requestState", state)];
    let nobody = &as_user("ben")[..1];
    for caller in [&as_user("ben")[..], nobody] {
        let answer = call_with(&fleet.nodes[1], caller, &tool("x"), &more).await;
        let error = inner(&answer.json()["result"]);
        assert_eq!(error["details"]["request_state"], "other_caller", "{caller:?}: {error}");
    }
    assert_eq!(fleet.upstream.count("tools/call"), sent, "nothing was sent");
    fleet.upstream.set_result("x", r#"{"content":[{"type":"text","text":"done"}]}"#);
    let answer = call_with(&fleet.nodes[1], &as_user("ann"), &tool("x"), &more).await.json();
    assert_eq!(inner(&answer["result"]), json!({"tool": "x", "result": "done"}));
}

#[tokio::test]
async fn a_state_is_over_after_its_time() {
    let options = Options { request_state_ttl: std::time::Duration::from_millis(1), ..Options::default() };
    let fleet = fleet(options, keys()).await;
    let state = asked(&fleet).await;
    // The one thing here that only time does; a slow machine makes it later still.
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    let answer = call(&fleet.nodes[0], "Bearer a", &tool("x"), &[("requestState", state)]).await;
    assert_eq!(inner(&answer.json()["result"])["details"]["request_state"], "expired");
}

#[tokio::test]
async fn who_cannot_be_asked_is_told_why() {
    let with_keys = fleet(Options::default(), keys()).await;
    let error = with_keys.nodes[0].ask("execute_tool", r#"{"tool_name":"x"}"#).await;
    assert_eq!(error["code"], "execution_error");
    assert!(error["error"].as_str().unwrap().contains("2026-07-28"), "{error}");
    let request = with_keys.upstream.requests().pop().unwrap().params();
    assert_eq!(request["_meta"][CAPABILITIES_META], json!({}), "nothing is offered on its behalf");

    let without_keys = fleet(Options::default(), Vec::new()).await;
    let answer = call(&without_keys.nodes[0], "Bearer a", &tool("x"), &[]).await.json();
    assert!(inner(&answer["result"])["error"].as_str().unwrap().contains("no keys"), "{answer}");
}
