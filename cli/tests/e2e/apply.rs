//! Files that say what the registry is to be.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use toolplane_testkit::fake_upstream::Fault;
use toolplane_testkit::{FakeUpstream, TestDatabase};

use crate::harness::{Process, Session, Setup, Split, operator, ready, register, standalone, until};

/// A gateway and a folder of manifests.
struct Gateway {
    folder: TempDir,
    _process: Process,
    url: String,
}

impl Gateway {
    async fn start(set: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let setup = set.iter().fold(Setup::new("standalone", folder.path()), |setup, (variable, value)| {
            setup.set(variable, value)
        });
        let (process, url) = standalone(&setup).await;
        ready(&url).await;
        Self { folder, _process: process, url }
    }

    /// Writes a file and returns its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("the file");
        path.to_str().expect("text").to_owned()
    }

    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        operator(self.folder.path(), arguments).await
    }

    /// What is registered, as programs see it.
    async fn upstreams(&self) -> Vec<Value> {
        let (code, list, said) = self.run(&["upstream", "list", "-o", "json"]).await;
        assert_eq!(code, 0, "{said}");
        serde_json::from_str(&list).expect("JSON")
    }

    async fn domains(&self) -> Vec<String> {
        let name = |upstream: &Value| upstream["domain"].as_str().expect("a domain").to_owned();
        self.upstreams().await.iter().map(name).collect()
    }
}

fn manifest(upstreams: &[(&str, &str)]) -> String {
    let line = |(domain, url): &(&str, &str)| format!("  - {{domain: {domain}, url: '{url}'}}\n");
    format!("upstreams:\n{}", upstreams.iter().map(line).collect::<String>())
}

#[tokio::test]
async fn a_file_is_applied_once_and_then_there_is_nothing_to_do() {
    let gateway = Gateway::start(&[]).await;
    let docs = FakeUpstream::builder().tool("search").token("first").start().await;
    let token = gateway.file("docs.token", "Bearer first\n");
    let text = format!(
        "upstreams:\n  - domain: docs\n    url: {}\n    description: papers\n    headers:\n      \
         Authorization: {{file: docs.token}}\n    denied_tools: ['*_delete']\npolicy:\n  deny: {{docs: [x]}}\n",
        docs.url()
    );
    let file = gateway.file("registry.yaml", &text);

    let (code, plan, said) = gateway.run(&["apply", "-f", &file, "--dry-run"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(plan.contains("+ upstream docs") && plan.contains("description: papers"), "{plan}");
    assert!(said.contains("2 changes would be accepted; nothing was changed"), "{said}");
    assert_eq!(gateway.domains().await, Vec::<String>::new());

    let (code, _, said) = gateway.run(&["apply", "-f", &file]).await;
    assert_eq!(code, 2, "without a terminal and `--yes` nobody agreed: {said}");
    assert_eq!(gateway.domains().await, Vec::<String>::new());

    let (code, plan, said) = gateway.run(&["apply", "-f", &file, "--yes"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(plan.contains("1 to create, 1 to change, 0 to remove"), "{plan}");
    assert!(said.contains("is served by 1 of 1 node"), "{said}");
    assert!(!format!("{plan}{said}").contains("first"), "no secret is shown");

    let (code, plan, said) = gateway.run(&["apply", "-f", &file, "--yes"]).await;
    assert_eq!((code, plan.as_str(), said.as_str()), (0, "", "nothing to do\n"));

    // A secret is replaced: its name is the same, its value is not.
    docs.set_token(Some("second"));
    std::fs::write(&token, "Bearer second").expect("the token");
    let (code, plan, said) = gateway.run(&["apply", "-f", &file, "--yes"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(plan.contains("headers: authorization (other values)"), "{plan}");
    assert_eq!(gateway.run(&["upstream", "refresh", "docs"]).await.0, 0, "the new secret is in use");
    assert_eq!(gateway.run(&["apply", "-f", &file, "--yes"]).await.2, "nothing to do\n");
}

#[tokio::test]
async fn an_export_is_a_file_that_changes_nothing() {
    let gateway = Gateway::start(&[]).await;
    let docs = FakeUpstream::builder().tool("search").token("s3cr3t").start().await;
    let text = format!(
        "upstreams:\n  - domain: docs\n    url: {}\n    headers: {{authorization: Bearer s3cr3t}}\n    \
         forward_headers: []\n    allowed_tools: ['s*']\n    schema_policy: pin\n    session_mode: shared\n\
         policy: {{allow: {{docs: ['*']}}}}\n",
        docs.url()
    );
    let (code, _, said) = gateway.run(&["apply", "-f", &gateway.file("a.yaml", &text), "--yes"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("a.yaml:4: header `authorization` is written out"), "{said}");

    let (code, exported, said) = gateway.run(&["export"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(exported.contains("authorization: {unchanged: true}"), "{exported}");
    assert!(!exported.contains("s3cr3t"), "{exported}");
    let path = gateway.folder.path().join("b.yaml");
    let path = path.to_str().expect("text");
    assert_eq!(gateway.run(&["export", "-o", path]).await.0, 0);
    assert_eq!(std::fs::read_to_string(path).expect("the file"), exported);
    let (code, plan, said) = gateway.run(&["apply", "-f", path, "--prune", "--yes"]).await;
    assert_eq!((code, plan.as_str(), said.as_str()), (0, "", "nothing to do\n"));
}

#[tokio::test]
async fn prune_removes_what_no_file_lists_but_nothing_of_the_environment() {
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let fixed = json!({"fixed": upstream.url()}).to_string();
    let gateway = Gateway::start(&[("GATEWAY_UPSTREAMS", &fixed)]).await;
    for domain in ["a", "b"] {
        assert_eq!(register(&gateway.url, domain, &upstream.url()).await.expect("an answer").0, 200);
    }
    let file = gateway.file("a.yaml", &manifest(&[("a", &upstream.url())]));

    let (code, plan, said) = gateway.run(&["apply", "-f", &file]).await;
    assert_eq!((code, plan.as_str()), (0, ""), "{said}");
    assert!(said.contains("no file lists `b`") && said.ends_with("nothing to do\n"), "{said}");
    let (code, plan, said) = gateway.run(&["apply", "-f", &file, "--prune", "--yes"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(plan.starts_with("- upstream b, with 1 tool"), "{plan}");
    assert!(said.contains("`fixed` belongs to the environment and stays"), "{said}");
    assert_eq!(gateway.domains().await, ["a", "fixed"]);

    let policy = gateway.file("policy.yaml", "policy: {}\n");
    let (code, _, said) = gateway.run(&["apply", "-f", &policy, "--prune", "--yes"]).await;
    assert_eq!(code, 2, "a file that lists no upstreams prunes none: {said}");
    assert_eq!(gateway.domains().await, ["a", "fixed"]);
}

#[tokio::test]
async fn a_bad_file_or_a_refused_change_changes_nothing() {
    let gateway = Gateway::start(&[]).await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let good = manifest(&[("good", &upstream.url())]);
    let bad = gateway.file(
        "bad.yaml",
        &format!(
            "{good}  - domain: b\n    url: ftp://b/\n    descripton: x\n    headers: {{x: {{env: NOT_SET}}}}\n"
        ),
    );
    let (code, plan, said) = gateway.run(&["apply", "-f", &bad, "--yes"]).await;
    assert_eq!((code, plan.as_str()), (2, ""), "{said}");
    let file = Path::new(&bad).display();
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(
        errors,
        [
            format!("error: {file}:4: `url`: must begin with `http://` or `https://`"),
            format!("error: {file}:5: an upstream has no key `descripton`"),
            format!("error: {file}:6: header `x`: the variable `NOT_SET` is not set"),
        ]
    );

    let refused = manifest(&[("good", &upstream.url()), ("dead", "http://127.0.0.1:1/mcp")]);
    let refused = gateway.file("refused.yaml", &refused);
    let (code, _, said) = gateway.run(&["apply", "-f", &refused, "--yes"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("refused.yaml:3: `dead`: ") && said.contains("hint: nothing was changed"),
        "{said}"
    );
    assert_eq!(gateway.domains().await, Vec::<String>::new());

    let (code, _, said) = gateway.run(&["apply", "-f", &refused, "--allow-unreachable", "--yes"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(gateway.domains().await, ["dead", "good"]);
}

#[tokio::test]
async fn a_change_by_somebody_else_is_a_conflict_that_names_both_versions() {
    let gateway = Gateway::start(&[]).await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let slow = FakeUpstream::builder().tool("fetch").start().await;
    assert_eq!(register(&gateway.url, "a", &upstream.url()).await.expect("an answer").0, 200);
    let seen = gateway.upstreams().await[0]["etag"].as_str().expect("an etag").to_owned();
    let text = format!(
        "{}  - {{domain: a, url: '{}', description: mine}}\n",
        manifest(&[("slow", &slow.url())]),
        upstream.url()
    );
    let file = gateway.file("a.yaml", &text);

    // The file was compared; while the new upstream takes its time somebody changes the other one.
    slow.fault("tools/list", Fault::Hang);
    let arguments = ["apply", "-f", &file, "--yes"];
    let meanwhile = async {
        slow.wait_for("tools/list", 1).await;
        let (code, _, said) = gateway.run(&["upstream", "update", "a", "--description", "theirs"]).await;
        assert_eq!(code, 0, "{said}");
        slow.clear_faults();
        slow.release();
    };
    let ((code, _, said), ()) = tokio::join!(gateway.run(&arguments), meanwhile);
    let now = gateway.upstreams().await;
    let held = now[0]["etag"].as_str().expect("an etag");
    assert_eq!(code, 1, "{said}");
    let conflict = format!("it is at `{held}`, not at `{seen}`");
    assert!(said.contains("a.yaml:3: `a`: ") && said.contains(&conflict), "{said}");
    assert_eq!((now.len(), &now[0]["description"]), (1, &json!("theirs")), "nothing was changed");

    let (code, _, said) = gateway.run(&arguments).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(gateway.upstreams().await[0]["description"], "mine");
}

#[tokio::test]
async fn applying_waits_for_every_connected_node_and_the_list_says_who_is_away() {
    let database = TestDatabase::sqlite();
    let split = Split::new(database.url());
    let _control_plane = split.control_plane().await;
    let ((_a, url_a), (b, url_b)) = (split.node("a").await, split.node("b").await);
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let file = split.folder.path().join("registry.yaml");
    std::fs::write(&file, manifest(&[("docs", &upstream.url())])).expect("the file");
    let file = file.to_str().expect("text");
    let control = split.folder.path().join("control");

    let (code, _, said) = operator(&control, &["apply", "-f", file, "--yes"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("is served by 2 of 2 nodes"), "{said}");
    for url in [&url_a, &url_b] {
        assert_eq!(
            Session::open(url).await.domains().await,
            ["docs"],
            "both serve it, without any more waiting"
        );
    }

    b.crash().await;
    let nodes = async || {
        let (code, nodes, said) = operator(&control, &["node", "list", "-o", "json"]).await;
        assert_eq!(code, 0, "{said}");
        serde_json::from_str::<Value>(&nodes).expect("JSON")["nodes"].clone()
    };
    until("the control plane notices", async || nodes().await[1]["state"] == "stale").await;
    let nodes = nodes().await;
    assert_eq!((&nodes[0]["state"], &nodes[0]["versions_behind"]), (&json!("connected"), &json!(0)));
    assert!(nodes[0]["seconds_since_ack"].is_u64() && nodes[1]["disconnect_time"].is_string(), "{nodes}");
}
