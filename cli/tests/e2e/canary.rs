//! Rollouts: what is bad harms a chosen few, whatever is killed meanwhile.

use serde_json::{Value, json};
use toolplane_testkit::{FakeUpstream, TestDatabase};

use crate::harness::{Process, Session, Split, http, operator, register, until};

/// A control plane, a canary and another node, which both serve `docs` with the tool `search`.
struct Stage {
    split: Split,
    upstream: FakeUpstream,
    control_plane: Option<Process>,
    canary: (Process, String),
    other: Option<(Process, String)>,
    _database: TestDatabase,
}

const CANARY: &str = "zone=a,ring=canary";

impl Stage {
    async fn set() -> Self {
        let database = TestDatabase::sqlite();
        let split = Split::new(database.url());
        let control_plane = split.control_plane().await;
        let canary = split.node_with("canary", CANARY).await;
        let other = split.node_with("other", "zone=a").await;
        let upstream = FakeUpstream::builder().tool("search").start().await;
        let (code, body) = register(&canary.1, "docs", &upstream.url()).await.expect("an answer");
        assert_eq!(code, 200, "{body}");
        let stage = Self {
            split,
            upstream,
            control_plane: Some(control_plane),
            canary,
            other: Some(other),
            _database: database,
        };
        stage.done(&["snapshot", "wait", "--timeout", "30"]).await;
        stage
    }

    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        operator(&self.split.folder.path().join("control"), arguments).await
    }

    /// Runs a command that must succeed; returns what it printed and said.
    async fn done(&self, arguments: &[&str]) -> (String, String) {
        let (code, out, said) = self.run(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {out}{said}");
        (out, said)
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let (out, _) = self.done(&[arguments, &["-o", "json"]].concat()).await;
        serde_json::from_str(&out).expect("JSON")
    }

    async fn crash_control_plane(&mut self) {
        self.control_plane.take().expect("it runs").crash().await;
        self.control_plane = Some(self.split.control_plane().await);
    }

    /// Kills the other node, takes its disk where `forgets`, and starts it again.
    async fn crash_other(&mut self, forgets: bool) {
        let (process, _) = self.other.take().expect("it runs");
        process.crash().await;
        if forgets {
            std::fs::remove_dir_all(self.split.folder.path().join("other")).expect("its disk");
        }
        self.other = Some(self.split.node_with("other", "zone=a").await);
    }

    fn other(&self) -> &str {
        &self.other.as_ref().expect("it runs").1
    }

    /// Waits until both nodes are connected and serve what they are to serve; returns how they are listed.
    async fn settled(&self) -> Vec<Value> {
        let mut listed = Vec::new();
        until("nodes serve what they are to serve", async || {
            let nodes = self.json(&["node", "list"]).await;
            listed.clone_from(nodes["nodes"].as_array().expect("nodes"));
            let settled = |node: &Value| {
                node["connected"] == true && node["versions_behind"] == 0 && !node["digest"].is_null()
            };
            listed.len() == 2 && listed.iter().all(settled)
        })
        .await;
        listed
    }
}

/// The tools of `docs` that a node serves.
async fn tools(url: &str) -> Vec<String> {
    let found = Session::open(url).await.ask("discover_tools", json!({"domain": "docs"})).await;
    let tools = found["tools"].as_array().unwrap_or_else(|| panic!("{found}")).iter();
    tools.map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_bad_change_stays_with_the_canary_through_crashes_and_an_abort_undoes_it() {
    let mut stage = Stage::set().await;
    let started = stage.done(&["rollout", "start", "--canary", "ring=canary"]).await.1;
    assert!(started.contains("rollout promote"), "it says what to do next: {started}");
    let before = stage.settled().await;
    assert_eq!(before[0]["digest"], before[1]["digest"]);

    stage.upstream.rename_tools(&["destroy"]);
    stage.done(&["upstream", "refresh", "docs"]).await;
    let (_, waited) = stage.done(&["snapshot", "wait", "--timeout", "30"]).await;
    assert!(waited.contains("holds 1 node back"), "{waited}");
    assert_eq!(tools(&stage.canary.1).await, ["destroy"]);

    stage.crash_control_plane().await;
    stage.crash_other(false).await;
    stage.settled().await;
    assert_eq!(tools(stage.other()).await, ["search"], "from its disk");
    stage.crash_other(true).await;
    let nodes = stage.settled().await;
    assert_eq!(tools(stage.other()).await, ["search"], "from the control plane");
    let told: Vec<&str> = nodes.iter().filter_map(|node| node["state"].as_str()).collect();
    assert_eq!(told, ["connected", "held_back"]);
    assert_eq!(nodes[1]["digest"], before[1]["digest"], "the very same snapshot");

    let (status, _) = stage.done(&["rollout", "status"]).await;
    assert!(status.contains("ring=canary") && status.contains("held back"), "{status}");
    let (_, said) = stage.done(&["rollout", "abort", "--yes"]).await;
    assert!(said.contains("`docs` is frozen"), "{said}");
    stage.done(&["snapshot", "wait", "--timeout", "30"]).await;
    let nodes = stage.settled().await;
    assert_eq!(nodes[0]["digest"], nodes[1]["digest"]);
    for url in [&stage.canary.1, stage.other()] {
        assert_eq!(tools(url).await, ["search"]);
    }
}

#[tokio::test]
async fn a_file_is_applied_to_canaries_first_and_promoted() {
    let mut stage = Stage::set().await;
    let more = FakeUpstream::builder().tool("fetch").start().await;
    let file = stage.split.folder.path().join("registry.yaml");
    std::fs::write(&file, format!("upstreams:\n  - {{domain: more, url: '{}'}}\n", more.url()))
        .expect("a file");
    let apply = ["apply", "-f", file.to_str().expect("text"), "--yes", "--canary", "ring=canary"];
    let (_, said) = stage.done(&apply).await;
    assert!(said.contains("served by 1 of 1 canary node; a rollout holds 1 node back"), "{said}");
    assert!(said.contains("rollout promote") && said.contains("rollout abort"), "{said}");
    assert_eq!(Session::open(&stage.canary.1).await.domains().await, ["docs", "more"]);
    assert_eq!(Session::open(stage.other()).await.domains().await, ["docs"]);

    // Through a node that is held back: stored, and said to be held back, at once.
    let (code, body) = register(stage.other(), "late", &more.url()).await.expect("an answer");
    assert_eq!(
        (code, &body["registered"], &body["held_back"]),
        (202, &json!("late"), &json!(true)),
        "{body}"
    );
    assert!(body["message"].as_str().is_some_and(|text| text.contains("ring=canary")), "{body}");
    let (code, body) =
        http(stage.other(), "DELETE", "/registry/servers/late", None).await.expect("an answer");
    assert_eq!((code, &body["held_back"]), (202, &json!(true)), "{body}");
    let (code, body) = register(&stage.canary.1, "later", &more.url()).await.expect("an answer");
    assert_eq!((code, &body["held_back"]), (200, &Value::Null), "{body}");

    stage.crash_control_plane().await;
    stage.settled().await;
    stage.done(&["rollout", "promote", "--yes"]).await;
    stage.done(&["snapshot", "wait", "--timeout", "30"]).await;
    let nodes = stage.settled().await;
    assert_eq!(nodes[0]["digest"], nodes[1]["digest"]);
    assert_eq!(Session::open(stage.other()).await.domains().await, ["docs", "later", "more"]);
    assert_eq!(stage.json(&["rollout", "status"]).await["rollout"], Value::Null);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_words_that_help() {
    let stage = Stage::set().await;
    let refused = async |arguments: &[&str], exit: i32, words: &str| {
        let (code, _, said) = stage.run(arguments).await;
        assert!(code == exit && said.contains(words), "{arguments:?}: {code} {said}");
    };
    refused(&["rollout", "start", "--canary", "ring=none"], 1, "no connected node has the label `ring=none`")
        .await;
    refused(&["rollout", "start", "--canary", "ring"], 2, "label=value").await;
    refused(&["rollout", "start"], 2, "--canary").await;
    refused(&["rollout", "promote", "--yes"], 1, "no rollout is under way").await;
    refused(&["rollout", "abort", "--yes"], 1, "no rollout is under way").await;
    stage.done(&["rollout", "start", "--canary", "ring=canary"]).await;
    refused(&["rollout", "start", "--canary", "zone=a"], 1, "`ring=canary`").await;
    let (viewer, _) = stage.done(&["token", "create", "--role", "viewer"]).await;
    let file = stage.split.folder.path().join("viewer.token");
    std::fs::write(&file, viewer).expect("a token file");
    let token = ["--token-file", file.to_str().expect("text")];
    stage.done(&[&["rollout", "status"][..], &token].concat()).await;
    refused(&[&["rollout", "promote", "--yes"][..], &token].concat(), 1, "role `viewer` does not allow this")
        .await;
}
