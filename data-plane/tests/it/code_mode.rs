//! Programs through a real node with real workers: what they may, what they learn, how they end.

mod cancelling;
mod hidden;
mod outcome;
mod permission;
mod places;
mod rule;
pub(crate) mod watched;

use serde_json::{Value, json};
use toolplane_data_plane::Options;
use toolplane_data_plane::code_mode::Settings;

use crate::harness::{Answer, Node, inner};

/// Workers are processes of a binary of this crate; each is started when it is needed.
fn settings() -> Settings {
    let binary = env!("CARGO_BIN_EXE_toolplane-data-plane-worker").into();
    Settings { ready_workers: 0, worker_binary: Some(binary), ..Settings::default() }
}

fn options() -> Options {
    Options { code_mode: Some(settings()), ..Options::default() }
}

/// A call of `execute_code`, as it is sent.
fn message(source: &str) -> String {
    let params = json!({"name": "execute_code", "arguments": {"code": source}});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
}

async fn answer(node: &Node, source: &str, headers: &[(&str, &str)]) -> Answer {
    let answer = node.rpc_with(&message(source), headers).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

/// Runs a program; the whole result.
async fn run(node: &Node, source: &str, headers: &[(&str, &str)]) -> Value {
    answer(node, source, headers).await.json()["result"].clone()
}

/// Runs a program that ends well; what it tells.
async fn told(node: &Node, source: &str, headers: &[(&str, &str)]) -> Value {
    let result = run(node, source, headers).await;
    assert_eq!(result["isError"], false, "{source}: {result}");
    result["structuredContent"].clone()
}

/// Runs a program that fails; what it tells.
async fn failure(node: &Node, source: &str, headers: &[(&str, &str)]) -> Value {
    let result = run(node, source, headers).await;
    assert_eq!(result["isError"], true, "{source}: {result}");
    inner(&result)
}
