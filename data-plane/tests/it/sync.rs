//! Following the control plane, and going on without it.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use toolplane_data_plane::{Address, Options};
use toolplane_proto::encode::full_update;
use toolplane_proto::sync::Update;
use toolplane_registry::Version;
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

use crate::harness::{Node, PATIENCE, World, domain, snapshot};

fn kept_in(dir: &Path) -> Options {
    Options { data_dir: Some(dir.to_owned()), ..Options::default() }
}

/// The address of a control plane that has gone.
async fn nobody() -> Address {
    let gone = FakeControlPlane::start().await;
    let address = Address::parse(&gone.address()).unwrap();
    gone.stop().await;
    address
}

#[tokio::test]
async fn a_refused_update_leaves_the_previous_one_served_and_the_next_good_one_is_taken() {
    let world = World::start(&["x"], Options::default()).await;
    let good = snapshot(2, vec![domain("echo", &world.upstream, &["x", "y"])]);
    let mut bad = full_update(&good, String::new());
    bad.changed[0].description.push_str("tampered");
    world.control_plane.send(bad);
    let nack = world.control_plane.wait_for_nacks(1).await;
    assert_eq!(nack.held.unwrap().number, 1);
    assert_eq!(nack.rejections[0].rule, "digest");
    assert_eq!(world.node.version(), 1);
    assert_eq!(world.node.ask("execute_tool", r#"{"tool_name":"x"}"#).await["tool"], "x");
    world.control_plane.publish(&good);
    world.control_plane.wait_for_ack(2).await;
    assert_eq!(world.node.version(), 2);
}

#[tokio::test]
async fn versions_do_not_go_back_within_a_store_and_nonces_are_not_used_twice() {
    let world = World::start(&["x"], Options::default()).await;
    let at = |number| snapshot(number, vec![domain("echo", &world.upstream, &["x"])]);
    world.control_plane.send(full_update(&at(5), "n".to_owned()));
    world.control_plane.wait_for_ack(5).await;
    world.control_plane.send(full_update(&at(4), "m".to_owned()));
    world.control_plane.wait_for_nacks(1).await;
    world.control_plane.send(full_update(&at(6), "n".to_owned()));
    assert_eq!(world.control_plane.wait_for_nacks(2).await.nonce, "n");
    assert_eq!(world.node.version(), 5);
    let restored = Version::new("restored", 1);
    let update = Update { version: Some((&restored).into()), ..full_update(&at(1), String::new()) };
    world.control_plane.send(update);
    world.control_plane.wait_for_ack(1).await;
    assert!(world.node.live().wait_for(&restored, PATIENCE).await);
}

#[tokio::test]
async fn a_node_starts_from_its_disk_with_nobody_to_ask() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::start(&["x"], kept_in(dir.path())).await;
    assert!(world.control_plane.wait_for_ack(1).await.persisted);
    let World { upstream: _upstream, control_plane, node } = world;
    node.stop().await;
    control_plane.stop().await;

    let alone = Node::start(Options { control_planes: vec![nobody().await], ..kept_in(dir.path()) }).await;
    let ready = alone.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["stale"], true);
    assert_eq!(alone.ask("execute_tool", r#"{"tool_name":"x"}"#).await["tool"], "x");
    let alone_without_addresses = Node::start(kept_in(dir.path())).await;
    assert_eq!(alone_without_addresses.version(), 1);
    alone.stop().await;
}

#[tokio::test]
async fn a_full_disk_costs_the_copy_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    // Every write to it fails for want of space, as on a full disk.
    std::os::unix::fs::symlink("/dev/full", dir.path().join("last-good.new")).unwrap();
    let world = World::start(&["x"], kept_in(dir.path())).await;
    assert!(!world.control_plane.wait_for_ack(1).await.persisted);
    assert_eq!(world.node.ask("execute_tool", r#"{"tool_name":"x"}"#).await["tool"], "x");
    assert!(!dir.path().join("last-good.bin").exists());

    std::fs::remove_file(dir.path().join("last-good.new")).unwrap();
    world.control_plane.publish(&snapshot(2, vec![domain("echo", &world.upstream, &["x", "y"])]));
    assert!(world.control_plane.wait_for_ack(2).await.persisted, "space came back");
    // A temporary file that a crash left behind is in nobody's way.
    std::fs::write(dir.path().join("last-good.new"), "half of a fi").unwrap();
    world.control_plane.publish(&snapshot(3, vec![domain("echo", &world.upstream, &["x"])]));
    assert!(world.control_plane.wait_for_ack(3).await.persisted);
}

#[tokio::test]
async fn a_node_says_that_it_is_stale_until_a_control_plane_answers() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::start(&["x"], kept_in(dir.path())).await;
    assert!(world.control_plane.wait_for_ack(1).await.persisted);
    assert_eq!(world.node.get("/healthz").await.body, r#"{"status":"ok"}"#);
    assert_eq!(world.node.get("/readyz").await.json(), json!({"status": "ready", "tools": 1}));
    world.node.stop().await;

    let written = std::fs::File::open(dir.path().join("last-good.bin")).unwrap();
    let modified = written.metadata().unwrap().modified().unwrap();
    written.set_modified(modified - Duration::from_mins(10)).unwrap();
    let alone = Node::start(Options { control_planes: vec![nobody().await], ..kept_in(dir.path()) }).await;
    for path in ["/healthz", "/readyz"] {
        let answer = alone.get(path).await;
        assert_eq!((answer.status, &answer.json()["stale"]), (200, &json!(true)));
        assert!(answer.json()["stale_seconds"].as_u64().unwrap() >= 600, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_corrupt_file_is_set_aside_and_the_node_waits_for_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("last-good.bin"), "junk").unwrap();
    let node = Node::start(Options { control_planes: vec![nobody().await], ..kept_in(dir.path()) }).await;
    let ready = node.get("/readyz").await;
    assert_eq!((ready.status, ready.json()["status"].as_str().unwrap()), (503, "not_ready"));
    assert!(dir.path().join("last-good.refused").exists());
    assert_eq!(node.get("/healthz").await.status, 200);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"discover_tools"}}"#;
    assert_eq!(node.rpc(call).await.status, 503);
}

#[tokio::test]
async fn a_lost_control_plane_is_replaced_by_the_next_and_told_what_is_held() {
    let (first, second) = (FakeControlPlane::start().await, FakeControlPlane::start().await);
    let upstream = FakeUpstream::builder().stateless().tool("x").start().await;
    let held = snapshot(1, vec![domain("echo", &upstream, &["x"])]);
    first.publish(&held);
    let control_planes =
        [&first, &second].map(|control_plane| Address::parse(&control_plane.address()).unwrap()).to_vec();
    let labels = [("zone".to_owned(), "a".to_owned())].into();
    let node = Node::start(Options { control_planes, labels, ..Options::default() }).await;
    first.wait_for_ack(1).await;
    assert_eq!(first.hellos()[0].held.as_ref().unwrap().number, 0);
    assert_eq!(first.hellos()[0].labels["zone"], "a");
    second.publish(&snapshot(2, vec![domain("echo", &upstream, &["x", "y"])]));
    first.stop().await;
    tokio::time::timeout(PATIENCE, second.wait_for_ack(2)).await.unwrap();
    let hello = &second.hellos()[0];
    assert_eq!(hello.held.as_ref().unwrap().number, 1);
    let digest = held.domains().values().next().unwrap().digest();
    assert_eq!(
        (hello.domains[0].domain.as_str(), &hello.domains[0].digest[..]),
        ("echo", &digest.as_bytes()[..])
    );
    assert_eq!(node.version(), 2);
}

#[tokio::test]
async fn a_control_plane_that_takes_no_node_does_not_make_it_any_less_stale() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::start(&["x"], kept_in(dir.path())).await;
    assert!(world.control_plane.wait_for_ack(1).await.persisted);
    world.node.stop().await;
    let written = std::fs::File::open(dir.path().join("last-good.bin")).unwrap();
    let modified = written.metadata().unwrap().modified().unwrap();
    written.set_modified(modified - Duration::from_mins(10)).unwrap();

    let before = world.control_plane.hellos().len();
    let without_database = tonic::Status::unavailable("the control plane cannot read its database");
    world.control_plane.refuse_hello(Some(without_database));
    let control_planes = vec![Address::parse(&world.control_plane.address()).unwrap()];
    let node = Node::start(Options { control_planes, ..kept_in(dir.path()) }).await;
    let mut age = 600;
    for hellos in 1..=3 {
        let tries = async {
            while world.control_plane.hellos().len() < before + hellos {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, tries).await.unwrap();
        let told = node.get("/readyz").await.json();
        assert_eq!(told["stale"], true, "{told}");
        let now = told["stale_seconds"].as_u64().unwrap();
        assert!(now >= age, "{now} after {age}");
        age = now;
    }
}
