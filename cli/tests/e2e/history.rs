//! Going back to an older version, as an operator does it.

use serde_json::Value;
use toolplane_testkit::FakeUpstream;

use crate::harness::{Session, Setup, operator, ready, standalone, until};

#[tokio::test]
async fn an_operator_goes_back_waits_for_the_fleet_and_resumes() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let (_process, url) = standalone(&Setup::new("standalone", folder.path())).await;
    ready(&url).await;
    let run = async |arguments: &[&str]| {
        let (code, out, said) = operator(folder.path(), arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {said}");
        (out, said)
    };
    run(&["upstream", "add", "docs", &upstream.url()]).await;
    let (list, _) = run(&["snapshot", "list", "-o", "json"]).await;
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let good = list[0]["version"].to_string();
    upstream.rename_tools(&["destroy"]);
    run(&["upstream", "refresh", "docs"]).await;

    let (diff, _) = run(&["snapshot", "diff", &good]).await;
    assert!(diff.contains("+destroy -search"), "{diff}");
    let (_, said) = run(&["snapshot", "rollback", &good, "--yes"]).await;
    assert!(said.contains("`docs` is frozen"), "{said}");
    let (waited, _) = run(&["snapshot", "wait", "--timeout", "30", "-o", "json"]).await;
    let waited: Value = serde_json::from_str(&waited).expect("JSON");
    assert_eq!((&waited["reached"], &waited["serving"]), (&Value::from(true), &Value::from(1)), "{waited}");
    let session = Session::open(&url).await;
    let found = session.ask("get_tool_schema", serde_json::json!({"tool_name": "search"})).await;
    assert_eq!(found["domain"], "docs", "what was waited for is served");

    let (refreshed, said) = run(&["upstream", "refresh", "docs"]).await;
    assert!(refreshed.contains(&format!("frozen at v{good}")), "{refreshed}");
    assert!(said.contains("`toolplane upstream resume docs` ends that"), "{said}");
    let (table, _) = run(&["upstream", "list"]).await;
    assert!(table.contains(&format!("frozen at v{good}")), "{table}");
    run(&["upstream", "resume", "docs"]).await;
    let (content, _) = run(&["snapshot", "get"]).await;
    assert!(content.contains("docs: destroy"), "{content}");
    until("the node serves it", async || {
        let asked = session.ask("get_tool_schema", serde_json::json!({"tool_name": "destroy"})).await;
        asked["domain"] == "docs"
    })
    .await;
    let (code, _, said) = operator(folder.path(), &["snapshot", "rollback", "99", "--yes"]).await;
    assert!(code == 1 && said.contains("version 99"), "{said}");
}
