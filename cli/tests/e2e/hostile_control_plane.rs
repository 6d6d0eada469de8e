//! A control plane that says what it must not, at a real node.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Status;
use toolplane_proto::encode;
use toolplane_proto::sync::{Domain, Update, Version as WireVersion};
use toolplane_registry::snapshot::{Builder, DomainSnapshot, Endpoint};
use toolplane_registry::{Domain as Name, Group, RawJson, Snapshot, Tool, ToolName, Version};
use toolplane_testkit::{FakeControlPlane, FakeUpstream, TestDatabase};

use crate::harness::{PATIENCE, Process, Session, Setup, Split, http, ready, standalone, until};

/// What the node of these tests takes at most.
const MAX_UPDATE: &str = "65536";

/// A node that serves version 1 of a control plane that a test controls.
struct Led {
    control_plane: FakeControlPlane,
    upstream: FakeUpstream,
    process: Process,
    url: String,
    _folder: TempDir,
}

impl Led {
    async fn start() -> Self {
        let (folder, control_plane) =
            (tempfile::tempdir().expect("a folder"), FakeControlPlane::start().await);
        let upstream = FakeUpstream::builder().tool("search").start().await;
        control_plane.publish(&snapshot(1, &upstream.url()));
        let setup = Setup::new("data-plane", folder.path())
            .set("TOOLPLANE_MAX_UPDATE_BYTES", MAX_UPDATE)
            .arguments(&["--control-plane", &control_plane.address()]);
        let (process, url) = standalone(&setup).await;
        in_time(control_plane.wait_for_ack(1)).await;
        ready(&url).await;
        Self { control_plane, upstream, process, url, _folder: folder }
    }

    /// The node serves what it served at the beginning.
    async fn assert_serves(&self) {
        let session = Session::open(&self.url).await;
        assert_eq!(session.domains().await, ["docs"]);
        let call = json!({"tool_name": "search", "arguments": {"q": "ada"}});
        let answer = session.ask("execute_tool", call).await;
        assert!(answer["result"].as_str().expect("text").contains("ada"), "{answer}");
    }

    fn full(&self, number: u64) -> Update {
        encode::full_update(&snapshot(number, &self.upstream.url()), String::new())
    }
}

fn snapshot(number: u64, url: &str) -> Snapshot {
    let domain = Name::parse("docs").expect("a domain");
    let name = ToolName::parse("search").expect("a name");
    let tool = Tool {
        group: Group::infer(&domain, &name),
        original_name: name,
        description: "Searches.".to_owned(),
        input_schema: RawJson::parse(r#"{"type":"object"}"#).expect("a schema"),
        output_schema: None,
        annotations: None,
        meta: None,
    };
    let entry = DomainSnapshot::new(domain, String::new(), Endpoint::plain(url), vec![tool.into()]);
    Builder::new(Version::new("store", number)).domain(entry).build().expect("a consistent snapshot")
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_that_must_not_be_are_refused_one_by_one_and_a_good_one_is_taken() {
    let led = Led::start().await;
    let repeated = Update { nonce: "again".to_owned(), ..led.full(2) };
    led.control_plane.send(repeated.clone());
    in_time(led.control_plane.wait_for_ack(2)).await;
    let garbage = Domain { domain: "No Domain".to_owned(), ..Domain::default() };
    let (of_none, older) = (Update { version: None, ..led.full(3) }, led.full(1));
    let other_store = Some(WireVersion { store_id: "other".to_owned(), number: 9 });
    let bad: [(&str, Update); 7] = [
        ("a nonce for the second time", Update { version: led.full(3).version, ..repeated }),
        ("no version", of_none),
        ("a lower version", older),
        ("a digest that is not that of the content", Update { digest: vec![7; 32], ..led.full(3) }),
        ("a domain that is none", Update { changed: vec![garbage], ..led.full(3) }),
        ("changes against another store", Update { version: other_store, full: false, ..led.full(3) }),
        (
            "a domain to drop that is not held",
            Update { removed: vec!["gone".to_owned()], full: false, ..led.full(3) },
        ),
    ];
    for (count, (what, update)) in bad.into_iter().enumerate() {
        led.control_plane.send(update);
        let nack = in_time(led.control_plane.wait_for_nacks(count + 1)).await;
        assert_eq!(nack.held.as_ref().map(|held| held.number), Some(2), "{what}: {nack:?}");
        assert!(!nack.rejections.is_empty(), "{what}: {nack:?}");
        led.assert_serves().await;
    }
    assert_eq!(led.control_plane.hellos().len(), 1, "none of it ends the stream");
    led.control_plane.send(led.full(4));
    in_time(led.control_plane.wait_for_ack(4)).await;
    led.assert_serves().await;
    // The very same state again is no news and no fault.
    led.control_plane.send(led.full(4));
    let acks = || led.control_plane.acks().iter().filter(|ack| ack.version == led.full(4).version).count();
    until("it is confirmed again", async || acks() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_is_too_large_is_named_and_the_node_serves_on() {
    let mut led = Led::start().await;
    let description = "x".repeat(100_000);
    let mut large = led.full(2);
    large.changed[0].description = description;
    led.control_plane.send(large);
    let record = led.process.record("an update is larger than TOOLPLANE_MAX_UPDATE_BYTES allows").await;
    assert!(record["reason"].as_str().expect("a reason").contains(MAX_UPDATE), "{record}");
    assert_eq!(record["level"], "ERROR", "{record}");
    led.assert_serves().await;
    let (code, body) = http(&led.url, "GET", "/readyz", None).await.expect("an answer");
    assert_eq!((code, &body["stale"]), (200, &json!(true)));
    led.control_plane.send(led.full(3));
    in_time(led.control_plane.wait_for_ack(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_protocol_says_so_and_follows_once_it_is_taken() {
    let mut led = Led::start().await;
    let reason = "this control plane speaks versions 2 to 3 of the sync protocol";
    led.control_plane.refuse_hello(Some(Status::failed_precondition(reason)));
    // Ends the stream that is open: no node takes this much.
    let mut large = led.full(2);
    large.changed[0].description = "x".repeat(100_000);
    led.control_plane.send(large);
    let record = led.process.record("the control plane does not take this node").await;
    assert!(record["reason"].as_str().expect("a reason").contains(reason), "{record}");
    assert_eq!(record["level"], "ERROR", "{record}");
    led.assert_serves().await;
    led.control_plane.send(led.full(3));
    led.control_plane.refuse_hello(None);
    in_time(led.control_plane.wait_for_ack(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_wrong_token_is_told_so_and_follows_with_a_good_one() {
    let database = TestDatabase::sqlite();
    let split = Split::new(database.url());
    let _control_plane = split.control_plane().await;
    let wrong = split.folder.path().join("wrong.token");
    std::fs::write(&wrong, "tp_not-a-token").expect("a file");
    let setup = |token: &Path| {
        let address = format!("unix:{}", split.folder.path().join("cp.sock").display());
        Setup::new("data-plane", &split.folder.path().join("stranger")).arguments(&[
            "--control-plane",
            &address,
            "--token-file",
            token.to_str().expect("text"),
        ])
    };
    let (mut stranger, url) = standalone(&setup(&wrong)).await;
    let record = stranger.record("the control plane refuses this node's token").await;
    assert_eq!(record["level"], "ERROR", "{record}");
    let (code, _) = http(&url, "GET", "/readyz", None).await.expect("an answer");
    assert_eq!(code, 503, "it has nothing to serve");
    let aloud = |record: &&Value| record["level"] == "ERROR";
    assert_eq!(stranger.records().iter().filter(aloud).count(), 1, "once");
    stranger.terminate().await;
    let (_known, url) = standalone(&setup(&split.folder.path().join("node.token"))).await;
    ready(&url).await;
}
