//! Last-known-good under `kill -9` and with nobody to ask.

use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;
use toolplane_registry::snapshot::{Builder, DomainSnapshot, Endpoint};
use toolplane_registry::{Domain, Group, RawJson, Snapshot, Tool, ToolName, Version};
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

use crate::harness::{Process, Session, Setup, http, ready, standalone};

/// Enough that writing them takes a while.
const TOOLS: usize = 300;
const CRASHES: u32 = 12;

#[tokio::test]
async fn a_node_killed_while_it_writes_starts_again_from_a_good_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let control_plane = FakeControlPlane::start().await;
    let half_written = folder.path().join("node/last-good.new");
    let mut number = 0;
    for crash in 0..CRASHES {
        let confirmed = control_plane.acks().last().cloned();
        // What the node is told when it connects is the first write already.
        let at = format!("node.persist.half-written:{}", 2 + crash % 3);
        let (process, version) = start(&folder, &control_plane, &at).await;
        if let Some(ack) = confirmed {
            let least = ack.version.expect("a version").number;
            assert!(
                ack.persisted && (least..=number).contains(&version),
                "{version} after {least} of {number}"
            );
        }
        let crashed = process.ended();
        tokio::pin!(crashed);
        loop {
            number += 1;
            control_plane.publish(&large(number));
            tokio::select! {
                _ = &mut crashed => break,
                _ = control_plane.wait_for_ack(number) => {}
            }
        }
        assert!(half_written.exists(), "the crash met a write");
    }
    let (_process, version) = start(&folder, &control_plane, "").await;
    assert!(version > 0);
    assert!(!folder.path().join("node/last-good.refused").exists(), "no file had to be set aside");
}

#[tokio::test]
async fn a_node_with_nobody_to_ask_is_ready_from_its_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = FakeUpstream::builder().tool("tool-000").start().await;
    let control_plane = FakeControlPlane::start().await;
    control_plane.publish(&snapshot(1, Endpoint::plain(upstream.url())));
    let (process, _) = standalone(&node(&folder, &control_plane)).await;
    assert!(control_plane.wait_for_ack(1).await.persisted);
    process.crash().await;
    let setup = node(&folder, &control_plane);
    control_plane.stop().await;

    let begin = Instant::now();
    let (_process, url) = standalone(&setup).await;
    let (code, body) = http(&url, "GET", "/readyz", None).await.expect("an answer");
    let took = begin.elapsed();
    println!("ready with {TOOLS} tools from disk after {} ms", took.as_millis());
    assert_eq!((code, &body["tools"], &body["stale"]), (200, &json!(TOOLS), &json!(true)));
    assert!(body["stale_seconds"].is_u64(), "{body}");
    let session = Session::open(&url).await;
    assert_eq!(session.domains().await, ["large"]);
    let call = json!({"tool_name": "tool-000", "arguments": {"q": "ada"}});
    let answer = session.ask("execute_tool", call).await;
    assert!(answer["result"].as_str().expect("text").contains("ada"), "{answer}");
}

fn node(folder: &TempDir, control_plane: &FakeControlPlane) -> Setup {
    Setup::new("data-plane", folder.path()).arguments(&["--control-plane", &control_plane.address()])
}

/// Starts the node, which may be going to crash, and says which version it found on its disk; 0 where it found none.
async fn start(folder: &TempDir, control_plane: &FakeControlPlane, crash_at: &str) -> (Process, u64) {
    let setup = node(folder, control_plane).set("TOOLPLANE_CRASH_AT", crash_at);
    let (mut process, url) = standalone(&setup).await;
    if !folder.path().join("node/last-good.bin").exists() {
        return (process, 0);
    }
    ready(&url).await;
    let record = process.record("serving last-known-good").await;
    let version = record["snapshot.version"].as_str().expect("a version");
    let number = version.strip_prefix('v').and_then(|number| number.parse().ok());
    (process, number.unwrap_or_else(|| panic!("no number in {version}")))
}

fn large(number: u64) -> Snapshot {
    snapshot(number, Endpoint::plain("http://127.0.0.1:9/mcp"))
}

fn snapshot(number: u64, endpoint: Endpoint) -> Snapshot {
    let domain = Domain::parse("large").expect("a domain");
    let schema =
        RawJson::parse(r#"{"type":"object","properties":{"q":{"type":"string"}}}"#).expect("a schema");
    let tools = (0..TOOLS).map(|index| {
        let name = ToolName::parse(&format!("tool-{index:03}")).expect("a name");
        Arc::new(Tool {
            group: Group::infer(&domain, &name),
            original_name: name,
            description: format!("{index} of version {number}. {}", "Many words. ".repeat(40)),
            input_schema: schema.clone(),
            output_schema: None,
            annotations: None,
            meta: None,
        })
    });
    let entry = DomainSnapshot::new(domain.clone(), String::new(), endpoint, tools.collect());
    Builder::new(Version::new("store", number)).domain(entry).build().expect("a consistent snapshot")
}
