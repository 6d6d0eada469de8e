//! The REST endpoints in front of a control plane.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use toolplane_data_plane::{Address, Options};
use toolplane_proto::sync;
use toolplane_registry::snapshot::Builder;
use toolplane_registry::{Snapshot, Version};
use toolplane_testkit::fake_control_plane::CREDENTIAL;
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

use crate::harness::{Answer, Node, World, domain, snapshot};

async fn world() -> World {
    World::start(
        &["x"],
        Options { read_your_writes_timeout: Duration::from_millis(300), ..Options::default() },
    )
    .await
}

async fn post(node: &Node, path: &str, credential: &str, body: &str) -> Answer {
    node.send(node.request("POST", path).header("authorization", credential).body(body.to_owned())).await
}

fn next(world: &World) -> Snapshot {
    snapshot(2, vec![domain("echo", &world.upstream, &["x", "y"])])
}

const LATE: &str = r#"{"domain":"late","url":"http://127.0.0.1:9/mcp"}"#;

#[tokio::test]
async fn a_registration_answers_once_this_node_serves_it() {
    let world = world().await;
    world.control_plane.on_change(next(&world));
    let answer = post(&world.node, "/registry/servers", CREDENTIAL, LATE).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.json(),
        json!({
            "registered": "late", "url": "http://127.0.0.1:9/mcp", "discovery_url": "http://127.0.0.1:9/mcp",
            "tools_discovered": 1, "tools_added": ["x"],
        })
    );
    assert_eq!(world.node.version(), 2);
    let removal =
        world.node.request("DELETE", "/registry/servers/my%20domain").header("authorization", CREDENTIAL);
    let answer = world.node.send(removal).await;
    assert_eq!(answer.json(), json!({"deregistered": "my domain", "tools_removed": ["x"]}));
    let removal =
        world.node.request("DELETE", "/registry/servers/refresh").header("authorization", CREDENTIAL);
    let answer = world.node.send(removal).await;
    assert_eq!(answer.json()["deregistered"], "refresh", "a domain may be called that");
    let list = world.node.request("GET", "/registry/servers").header("authorization", CREDENTIAL);
    assert_eq!(world.node.send(list).await.json(), json!({"servers": [], "total": 0}));
}

#[tokio::test]
async fn a_change_that_does_not_arrive_is_not_reported_as_done() {
    let world = world().await;
    world.control_plane.promise(&Version::new("store", 9));
    let answer = post(&world.node, "/registry/servers", CREDENTIAL, LATE).await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("control_plane_unavailable")));
    assert!(answer.body.contains("does not serve it yet"), "{}", answer.body);
}

#[tokio::test]
async fn a_change_that_a_rollout_holds_back_is_answered_at_once() {
    let labelled = |value: &str| Options {
        labels: [("ring".to_owned(), value.to_owned())].into(),
        // Nobody waits that long: what is held back is not waited for.
        read_your_writes_timeout: Duration::from_hours(1),
        ..Options::default()
    };
    let world = World::start(&["x"], labelled("stable")).await;
    let hold = |baseline| sync::Hold {
        label: "ring".into(),
        value: "canary".into(),
        baseline: Some((&Version::new("store", baseline)).into()),
    };
    world.control_plane.promise(&Version::new("store", 9));
    world.control_plane.hold(hold(1));
    let answer = post(&world.node, "/registry/servers", CREDENTIAL, LATE).await;
    assert_eq!((answer.status, &answer.json()["registered"]), (202, &json!("late")), "{}", answer.body);
    assert_eq!(answer.json()["held_back"], json!(true));
    assert!(answer.json()["message"].as_str().unwrap().contains("stored as v9"), "{}", answer.body);
    let removal = world.node.request("DELETE", "/registry/servers/late").header("authorization", CREDENTIAL);
    let answer = world.node.send(removal).await;
    assert_eq!((answer.status, &answer.json()["held_back"]), (202, &json!(true)), "{}", answer.body);
    let refresh = format!("/registry/servers/refresh?expected_digest={}", "0".repeat(64));
    let answer = post(&world.node, &refresh, CREDENTIAL, r#"{"domain":"late"}"#).await;
    assert_eq!((answer.status, &answer.json()["held_back"]), (202, &json!(true)), "{}", answer.body);

    let canary = World::start(&["x"], labelled("canary")).await;
    canary.control_plane.on_change(next(&canary));
    canary.control_plane.hold(hold(1));
    let answer = post(&canary.node, "/registry/servers", CREDENTIAL, LATE).await;
    assert_eq!((answer.status, &answer.json()["held_back"]), (200, &serde_json::Value::Null));
    assert_eq!(canary.node.version(), 2, "a canary serves it before it answers");
}

#[tokio::test]
async fn a_wrong_credential_is_refused_before_the_body_is_read() {
    let world = world().await;
    for credential in ["Bearer wrong", "", "registration-token"] {
        let answer = post(&world.node, "/registry/servers", credential, "{nope").await;
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("unauthorized")));
    }
    assert_eq!(world.control_plane.calls("register"), 0);
}

#[tokio::test]
async fn malformed_bodies_are_the_callers_fault() {
    let world = world().await;
    let digest = "0".repeat(64);
    let refresh = format!("/registry/servers/refresh?expected_digest={digest}");
    for (path, body) in [
        ("/registry/servers", "{nope"),
        ("/registry/servers", "[1]"),
        ("/registry/servers", "null"),
        ("/registry/servers", r#"{"domain":"x"}"#),
        ("/registry/servers", r#"{"domain":"x","url":5}"#),
        ("/registry/servers", r#"{"domain":"x","url":"u","headers":{"a":1}}"#),
        ("/registry/servers/refresh", r#"{"domain":"x"}"#),
        ("/registry/servers/refresh?expected_digest=abc", r#"{"domain":"x"}"#),
        (&refresh, "{}"),
        (&refresh, r#"{"domain":5}"#),
    ] {
        let answer = post(&world.node, path, CREDENTIAL, body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("bad_request")), "{path} {body}");
    }
    let answer = post(&world.node, &refresh, CREDENTIAL, r#"{"domain":"echo"}"#).await;
    assert_eq!(answer.json()["schema_digest"], json!(digest));
}

#[tokio::test]
async fn refusals_of_the_control_plane_reach_the_caller_with_their_code() {
    let world = world().await;
    let metadata = HashMap::from([
        ("domain".to_owned(), "late".to_owned()),
        ("upstream_status".to_owned(), "401".to_owned()),
    ]);
    let details = ErrorDetails::with_error_info("upstream_auth_failed", "toolplane", metadata);
    world.control_plane.refuse(Status::with_error_details(Code::FailedPrecondition, "no entry", details));
    let answer = post(&world.node, "/registry/servers", CREDENTIAL, LATE).await;
    assert_eq!(answer.status, 422);
    assert_eq!(
        answer.json(),
        json!({"error": "no entry", "code": "upstream_auth_failed", "domain": "late", "upstream_status": 401})
    );
}

#[tokio::test]
async fn without_a_control_plane_the_answer_says_so() {
    let world = world().await;
    world.control_plane.stop().await;
    let answer = post(&world.node, "/registry/servers", CREDENTIAL, LATE).await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("control_plane_unavailable")));
}

#[tokio::test]
async fn switched_off_the_endpoints_do_not_exist() {
    let world = world().await;
    let off = Builder::new(Version::new("store", 3)).domain(domain("echo", &world.upstream, &["x"])).build();
    world.control_plane.publish(&off.unwrap());
    world.control_plane.wait_for_ack(3).await;
    for (method, path) in
        [("GET", "/registry/servers"), ("PUT", "/registry/servers"), ("DELETE", "/registry/servers/x")]
    {
        assert_eq!(world.node.send(world.node.request(method, path)).await.status, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn where_a_control_plane_is_unavailable_the_next_is_asked() {
    let (first, second) = (FakeControlPlane::start().await, FakeControlPlane::start().await);
    let upstream = FakeUpstream::builder().stateless().tool("x").start().await;
    let held = snapshot(1, vec![domain("echo", &upstream, &["x"])]);
    first.publish(&held);
    second.publish(&held);
    let control_planes =
        [&first, &second].map(|control_plane| Address::parse(&control_plane.address()).unwrap()).to_vec();
    let node = Node::start(Options { control_planes, ..Options::default() }).await;
    first.wait_for_ack(1).await;
    // Both hold this version already, so nobody waits for it.
    second.promise(&Version::new("store", 1));
    first.refuse(Status::unavailable("the control plane is stopping"));
    assert_eq!(post(&node, "/registry/servers", CREDENTIAL, LATE).await.status, 200);
    let report = node.ask("refresh_registry", "{}").await;
    assert!(report["refreshed"].is_array(), "{report}");
    let asked = [second.calls("register"), second.calls("refresh")];
    assert_eq!(asked, [1, 1]);

    // What an upstream does not give one of them it does not give the other.
    let details = ErrorDetails::with_error_info("upstream_not_ready", "toolplane", HashMap::new());
    first.refuse(Status::with_error_details(Code::Unavailable, "not yet reachable", details));
    let answer = post(&node, "/registry/servers", CREDENTIAL, LATE).await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("upstream_not_ready")));
    assert_eq!(second.calls("register"), 1);

    // A removal may have been made before it failed: that there is nothing to remove does not say that it was not.
    first.refuse(Status::unavailable("the control plane is stopping"));
    second.refuse(Status::with_error_details(
        Code::NotFound,
        "no such domain",
        ErrorDetails::with_error_info("not_found", "toolplane", HashMap::new()),
    ));
    let removal = node.request("DELETE", "/registry/servers/late").header("authorization", CREDENTIAL);
    let answer = node.send(removal).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("uncertain"), "{}", answer.body);
}
