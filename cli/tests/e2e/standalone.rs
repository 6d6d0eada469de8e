//! One process on SQLite.

use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tokio::net::TcpListener;
use toolplane_testkit::FakeUpstream;

use crate::harness::{Session, Setup, http, operator, ready, register, registered, standalone};

#[tokio::test]
async fn register_discover_read_and_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = FakeUpstream::builder().tool("search").tool("fetch").start().await;
    let (process, url) = standalone(&Setup::new("standalone", folder.path())).await;
    ready(&url).await;

    let (code, body) = register(&url, "docs", &upstream.url()).await.expect("an answer");
    assert_eq!(code, 200, "{body}");
    assert_eq!(body["tools_discovered"], 2);

    let session = Session::open(&url).await;
    assert_eq!(session.domains().await, ["docs"]);
    let schema = session.ask("get_tool_schema", json!({"tool_name": "search"})).await;
    assert_eq!(schema["domain"], "docs");
    let call = json!({"tool_name": "search", "arguments": {"q": "ada"}});
    let answer = session.ask("execute_tool", call).await;
    assert!(answer["result"].as_str().expect("text").contains("ada"), "{answer}");

    assert_eq!(http(&url, "DELETE", "/registry/servers/docs", None).await.expect("an answer").0, 200);
    assert_eq!(session.domains().await, Vec::<String>::new());
    assert!(process.terminate().await.success());
    assert!(!folder.path().join("node.url").exists(), "nothing leads to a gateway that is gone");
}

#[tokio::test]
async fn the_operator_needs_no_setting_on_the_same_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let (_process, url) = standalone(&Setup::new("standalone", folder.path())).await;
    ready(&url).await;
    let run = async |arguments: &[&str]| operator(folder.path(), arguments).await;

    let (code, stdout, said) =
        run(&["upstream", "add", "docs", &upstream.url(), "--description", "papers"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("registered `docs` with 1 tool"), "{said}");
    assert!(stdout.contains("papers"), "{stdout}");
    let (_, list, _) = run(&["upstream", "list", "--output", "json"]).await;
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!((&list[0]["domain"], &list[0]["listing"]["tools_admitted"]), (&json!("docs"), &json!(1)));

    // The node serves what the control plane has confirmed a moment later.
    let session = Session::open(&url).await;
    crate::harness::until("the node serves it", async || session.domains().await == ["docs"]).await;
    let (code, result, said) = run(&["tool", "call", "search", r#"{"q": "ada"}"#]).await;
    assert_eq!(code, 0, "{said}");
    assert!(result.contains("ada"), "{result}");
    let (code, _, said) = run(&["tool", "call", "serch"]).await;
    assert_eq!(code, 1);
    assert!(said.contains("hint: did you mean search?"), "{said}");
    assert_eq!(said.to_lowercase().matches("did you mean").count(), 1, "{said}");
    let (code, _, said) = run(&["tool", "schema", "serch"]).await;
    assert_eq!((code, said.matches("hint: did you mean search?").count()), (1, 1), "{said}");

    let (_, table, _) = run(&["tool", "list"]).await;
    assert!(table.contains("search"), "{table}");
    let (_, nodes, _) = run(&["node", "list"]).await;
    assert!(nodes.contains("connected"), "{nodes}");
    let (code, _, said) =
        run(&["upstream", "update", "docs", "--deny", "search", "--description", "closed"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(run(&["upstream", "refresh"]).await.0, 0);
    assert_eq!(run(&["upstream", "remove", "docs", "--yes"]).await.0, 0);
    assert_eq!(run(&["upstream", "get", "docs"]).await.0, 1);
}

#[tokio::test]
async fn what_a_pinned_upstream_lists_waits_until_its_digest_is_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let (_process, url) = standalone(&Setup::new("standalone", folder.path())).await;
    ready(&url).await;
    let run = async |arguments: &[&str]| operator(folder.path(), arguments).await;
    let add = ["upstream", "add", "docs", &upstream.url(), "--schema-policy", "pin"];
    assert_eq!(run(&add).await.0, 0);

    upstream.rename_tools(&["search", "fetch"]);
    assert_eq!(run(&["upstream", "refresh", "docs"]).await.0, 0);
    let (_, table, _) = run(&["tool", "list", "--refused"]).await;
    assert!(table.contains("1 tool, 1 refused") && table.contains("fetch"), "{table}");
    let (code, _, said) = run(&["upstream", "accept", "docs", "--digest", &"0".repeat(64)]).await;
    assert!(code == 1 && said.contains("hint: `toolplane upstream get`"), "{said}");

    let (_, shown, _) = run(&["upstream", "get", "docs"]).await;
    let accept = shown.lines().find_map(|line| line.strip_prefix("accept with")).expect("how to accept it");
    let accept: Vec<&str> = accept.split_whitespace().skip(1).collect();
    let (code, _, said) = run(&accept).await;
    assert_eq!(code, 0, "{said}");
    let (_, table, _) = run(&["tool", "list", "--refused"]).await;
    assert!(table.contains("2 tools\n"), "{table}");
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_said_to_be_unlisted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_process, url) = standalone(&Setup::new("standalone", folder.path())).await;
    ready(&url).await;
    let add = ["upstream", "add", "docs", "http://127.0.0.1:1/mcp", "--allow-unreachable"];
    let (code, _, said) = operator(folder.path(), &add).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("registered `docs`, not listed yet: "), "{said}");
    let (code, _, said) = operator(folder.path(), &["upstream", "refresh"]).await;
    assert!(code == 1 && !said.contains("stay as they were"), "{said}");
}

#[tokio::test]
async fn a_gateway_may_be_asked_while_it_starts_and_a_missing_token_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup::new("standalone", folder.path());
    let (started, asked) = tokio::join!(standalone(&setup), operator(folder.path(), &["upstream", "list"]));
    assert_eq!(asked.0, 0, "{}", asked.2);
    std::fs::remove_file(folder.path().join("admin.token")).expect("it was written");
    let (code, _, said) = operator(folder.path(), &["upstream", "list"]).await;
    assert!(code == 1 && said.contains("admin.token` does not exist"), "{said}");
    assert!(started.0.terminate().await.success());
}

#[tokio::test]
async fn tokens_have_roles_and_can_be_revoked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_process, url) = standalone(&Setup::new("standalone", folder.path())).await;
    ready(&url).await;
    let (code, secret, said) =
        operator(folder.path(), &["token", "create", "--role", "viewer", "-o", "json"]).await;
    assert_eq!(code, 0, "{said}");
    let created: serde_json::Value = serde_json::from_str(&secret).expect("JSON");
    let file = folder.path().join("viewer.token");
    std::fs::write(&file, created["secret"].as_str().expect("a secret")).expect("the token file");
    let file = file.to_str().expect("text");

    assert_eq!(operator(folder.path(), &["upstream", "list", "--token-file", file]).await.0, 0);
    let (code, _, said) = operator(folder.path(), &["token", "list", "--token-file", file]).await;
    assert_eq!(code, 1, "{said}");
    let id = created["token_id"].as_str().expect("an id");
    assert_eq!(operator(folder.path(), &["token", "revoke", id, "--yes"]).await.0, 0);
    assert_eq!(operator(folder.path(), &["upstream", "list", "--token-file", file]).await.0, 1);
}

#[tokio::test]
async fn what_was_registered_survives_a_crash() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let setup = Setup::new("standalone", folder.path());
    let (process, url) = standalone(&setup).await;
    ready(&url).await;
    assert_eq!(register(&url, "docs", &upstream.url()).await.expect("an answer").0, 200);
    process.crash().await;

    let (_process, url) = standalone(&setup).await;
    ready(&url).await;
    assert_eq!(registered(&url).await, ["docs"]);
    // The crash may have come before the node's own copy was written; it is ready with an older one then.
    let session = Session::open(&url).await;
    crate::harness::until("the node serves it", async || session.domains().await == ["docs"]).await;
}

#[tokio::test]
async fn the_environment_owns_what_it_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let with = json!({"fixed": upstream.url()}).to_string();
    let setup = Setup::new("standalone", folder.path());
    let (process, url) = standalone(&setup.clone().set("GATEWAY_UPSTREAMS", &with)).await;
    ready(&url).await;
    assert_eq!(register(&url, "own", &upstream.url()).await.expect("an answer").0, 200);
    assert_eq!(registered(&url).await, ["fixed", "own"]);
    assert!(process.terminate().await.success());

    let (_process, url) = standalone(&setup).await;
    ready(&url).await;
    assert_eq!(registered(&url).await, ["own"]);
}

#[tokio::test]
async fn gateways_run_side_by_side_but_not_in_one_folder() {
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (_a, url_a) = standalone(&Setup::new("standalone", first.path())).await;
    let (_b, url_b) = standalone(&Setup::new("standalone", second.path())).await;
    assert_ne!(url_a, url_b);
    let (code, said) = Setup::new("standalone", first.path()).run().await;
    assert_eq!(code, 1);
    assert!(said.contains("another gateway uses the data folder"), "{said}");
}

#[tokio::test]
async fn a_port_in_use_is_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let held = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = held.local_addr().expect("its address").port().to_string();
    let (code, said) = Setup::new("standalone", folder.path()).set("GATEWAY_PORT", &port).run().await;
    assert_eq!(code, 1, "{said}");
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && errors[0].contains(&port), "{said}");
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(operator(folder.path(), &["migrate"]).await.0, 0);
    let url = format!("sqlite:{}", folder.path().join("toolplane.db").display());
    let mut database = SqliteConnection::connect(&url).await.expect("the database opens");
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9000, 'from the future', 1, x'00', 0)";
    database.execute(newer).await.expect("the row is written");
    database.close().await.expect("the database closes");
    for setup in [Setup::new("standalone", folder.path()), Setup::new("migrate", folder.path())] {
        let (code, said) = setup.run().await;
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("schema 9000"), "{said}");
    }
}
