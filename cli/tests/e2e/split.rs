//! A control plane and two nodes.

use serde_json::{Value, json};
use toolplane_testkit::{FakeUpstream, TestDatabase};

use crate::harness::{Session, Split, operator, register, until};

#[tokio::test]
async fn a_registration_through_one_node_is_served_by_the_other() {
    let database = TestDatabase::sqlite();
    let split = Split::new(database.url());
    let _control_plane = split.control_plane().await;
    let ((_a, url_a), (_b, url_b)) = (split.node("a").await, split.node("b").await);
    let upstream = FakeUpstream::builder().tool("search").start().await;

    let (code, body) = register(&url_a, "docs", &upstream.url()).await.expect("an answer");
    assert_eq!(code, 200, "{body}");
    assert_eq!(Session::open(&url_a).await.domains().await, ["docs"], "read your writes");
    let other = Session::open(&url_b).await;
    until("the other node serves it", async || other.domains().await == ["docs"]).await;
    let answer = other.ask("execute_tool", json!({"tool_name": "search", "arguments": {"q": "ada"}})).await;
    assert!(answer["result"].as_str().expect("text").contains("ada"), "{answer}");

    let nodes = nodes(&split).await;
    let ids: Vec<&str> = nodes["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .filter_map(|node| node["node_id"].as_str())
        .collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn a_node_serves_without_its_control_plane_even_after_a_restart() {
    let database = TestDatabase::sqlite();
    let split = Split::new(database.url());
    let control_plane = split.control_plane().await;
    let (node, url) = split.node("a").await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    assert_eq!(register(&url, "docs", &upstream.url()).await.expect("an answer").0, 200);
    until("the node has it on disk", async || {
        let nodes = nodes(&split).await;
        let (latest, node) = (&nodes["latest_version"], &nodes["nodes"][0]);
        node["version"] == *latest && node["persisted"] == true
    })
    .await;
    control_plane.crash().await;
    node.crash().await;

    let (_node, url) = split.node("a").await;
    let session = Session::open(&url).await;
    assert_eq!(session.domains().await, ["docs"]);
    let answer = session.ask("execute_tool", json!({"tool_name": "search", "arguments": {"q": "ada"}})).await;
    assert!(answer["result"].as_str().expect("text").contains("ada"), "{answer}");
    let (code, body) = register(&url, "more", &upstream.url()).await.expect("an answer");
    assert_eq!((code, &body["code"]), (503, &json!("control_plane_unavailable")));
}

/// What the control plane knows of its nodes.
async fn nodes(split: &Split) -> Value {
    let (code, nodes, said) =
        operator(&split.folder.path().join("control"), &["node", "list", "-o", "json"]).await;
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&nodes).expect("JSON")
}
