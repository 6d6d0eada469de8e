//! Upstream tools under their own names, which only a test build can switch on.

use serde_json::{Value, json};
use toolplane_data_plane::Options;
use toolplane_data_plane::options::Exposure;

use crate::harness::{Node, World};

const META_TOOLS: [&str; 4] = ["discover_tools", "get_tool_schema", "execute_tool", "refresh_registry"];
const CONTENT: &str = r#""content":[{"type":"text","text":"a"},{"type":"image","data":"AA==","mimeType":"image/png"},{"type":"text","text":"b"}]"#;
const OTHERS: &str = r#""structuredContent":{"n":1e400},"isError":false,"vendor":[ 1 ]"#;

async fn world(exposure: Exposure) -> World {
    let world = World::start(&["x"], Options { exposure, ..Options::default() }).await;
    world.upstream.set_result("x", &format!("{{{CONTENT},{OTHERS}}}"));
    world
}

async fn listed(node: &Node) -> Vec<String> {
    let answer = node.rpc(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await.json();
    let tools: Vec<Value> = serde_json::from_value(answer["result"]["tools"].clone()).unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn a_tool_can_be_called_by_name_and_answers_as_its_upstream_did() {
    let world = world(Exposure::Direct).await;
    assert_eq!(listed(&world.node).await, [&META_TOOLS[..], &["x"]].concat());
    let body = world.node.call_raw("x", r#"{"a":1}"#).await;
    assert!(body.contains(CONTENT) && body.contains(OTHERS), "{body}");
    assert_eq!(world.upstream.requests().pop().unwrap().params()["arguments"], json!({"a": 1}));
}

#[tokio::test]
async fn nobody_reaches_a_tool_by_name_otherwise() {
    // In a build without debug assertions not even who asks for it.
    let world = world(if cfg!(debug_assertions) { Exposure::MetaTools } else { Exposure::Direct }).await;
    assert_eq!(listed(&world.node).await, META_TOOLS);
    assert_eq!(world.node.ask("x", "{}").await["code"], "invalid_argument");
    assert_eq!(world.upstream.count("tools/call"), 0);
}
