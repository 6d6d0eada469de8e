//! Programs through a real gateway, whose workers are the gateway's own binary.

use std::time::Duration;

use rmcp::model::CallToolResult;
use serde_json::{Value, json};
use tokio::time::Instant;
use toolplane_testkit::FakeUpstream;

use crate::harness::{PATIENCE, Process, Session, Setup, operator, ready, register, standalone};

/// A gateway with code mode and one upstream of these tools.
struct Gateway {
    process: Process,
    url: String,
    upstream: FakeUpstream,
    folder: tempfile::TempDir,
}

async fn gateway(settings: &[(&str, &str)]) -> Gateway {
    let folder = tempfile::tempdir().expect("a folder");
    let rows =
        r#"{"content":[{"type":"text","text":"2 rows"}],"structuredContent":{"rows":[{"n":1},{"n":2}]}}"#;
    let wipe = r#"{"name":"wipe","inputSchema":{"type":"object"},"annotations":{"destructiveHint":true}}"#;
    let strict = r#"{"name":"strict","inputSchema":{"type":"object","properties":{"q":{"type":"string"}},"required":["q"],"additionalProperties":false}}"#;
    let upstream = FakeUpstream::builder()
        .tool("search")
        .tool("get-rows")
        .tool_json(wipe)
        .tool_json(strict)
        .result("get-rows", rows);
    let upstream = upstream.start().await;
    let mut setup = Setup::new("standalone", folder.path()).set("GATEWAY_CODE_MODE", "true");
    for (variable, value) in settings {
        setup = setup.set(variable, value);
    }
    let (process, url) = standalone(&setup).await;
    ready(&url).await;
    let (code, body) = register(&url, "docs", &upstream.url()).await.expect("an answer");
    assert_eq!(code, 200, "{body}");
    Gateway { process, url, upstream, folder }
}

async fn run(session: &Session, code: &str) -> CallToolResult {
    session.call("execute_code", json!({"code": code})).await
}

fn structured(result: &CallToolResult) -> Value {
    result.structured_content.clone().unwrap_or_default()
}

fn failure(result: &CallToolResult) -> Value {
    assert_eq!(result.is_error, Some(true), "{result:?}");
    let text = result.content[0].as_text().expect("text");
    serde_json::from_str(&text.text).expect("JSON")
}

#[tokio::test]
async fn a_program_chains_tools_and_leaves_a_record() {
    let mut gateway = gateway(&[]).await;
    let session = Session::open(&gateway.url).await;
    let signatures = session.call("discover_tools", json!({"domain": "docs", "format": "signatures"})).await;
    let shown = &signatures.content[0].as_text().expect("text").text;
    assert!(shown.contains("get_rows(") && shown.contains("`get-rows`"), "{shown}");

    let program = "\
import asyncio
print('looking')
data, found = await asyncio.gather(get_rows(), search(q='ada'))
{'count': len(data['rows']), 'found': 'ada' in found}";
    let result = run(&session, program).await;
    let outcome = structured(&result);
    assert_eq!(result.content[0].as_text().expect("text").text, "{'count': 2, 'found': True}");
    assert_eq!(outcome["result"], json!({"count": 2, "found": true}), "{outcome}");
    assert_eq!(outcome["stdout"], "looking\n");
    let calls: Vec<&str> =
        outcome["calls"].as_array().expect("calls").iter().filter_map(|call| call["tool"].as_str()).collect();
    assert_eq!(calls, ["get-rows", "search"]);
    let record = gateway.process.record("code_mode.invoked").await;
    let audit = &record["audit"];
    assert_eq!((&audit["step_count"], &audit["is_error"]), (&json!(2), &json!(false)), "{record}");
    assert_eq!(audit["tool_names_invoked"], json!(["get-rows", "search"]));

    // What a direct call refuses, a nested one does.
    let refused = failure(&run(&session, "await search(q='x')\nawait strict(unknown='x')").await);
    assert_eq!((&refused["code"], &refused["line"]), (&json!("tool_error"), &json!(2)), "{refused}");
    assert!(refused["message"].as_str().expect("text").contains("invalid_arguments"), "{refused}");
    assert_eq!(refused["calls"][0]["ok"], json!(true));
    let hidden = failure(&run(&session, "await no_such_tool()").await);
    assert_eq!(hidden["message"], "NameError: name 'no_such_tool' is not defined");
    assert!(gateway.process.terminate().await.success());
}

#[tokio::test]
async fn hostile_programs_leave_the_gateway_serving() {
    let gateway = gateway(&[
        ("GATEWAY_CODE_MODE_MAX_DURATION_SECS", "1"),
        ("GATEWAY_CODE_MODE_MAX_MEMORY", "50000000"),
    ])
    .await;
    let session = Session::open(&gateway.url).await;
    let deep = format!("1{}", "+1".repeat(40_000));
    let programs =
        ["while True:\n    pass", "x = [0]\nwhile True:\n    x = x + x", &deep, "def f():\n    f()\nf()"];
    let other = Session::open(&gateway.url).await;
    let hostile = futures::future::join_all(programs.iter().map(|program| run(&session, program)));
    let (ended, domains) = tokio::join!(hostile, async {
        let asked = Instant::now();
        (other.domains().await, asked.elapsed())
    });
    let codes: Vec<Value> = ended.iter().map(|result| failure(result)["code"].clone()).collect();
    assert_eq!(codes, ["limit_exceeded", "limit_exceeded", "syntax_error", "limit_exceeded"]);
    assert_eq!(domains.0, ["docs"]);
    assert!(domains.1 < Duration::from_secs(2), "{:?}", domains.1);
    assert_eq!(structured(&run(&session, "1 + 1").await)["result"], json!(2));
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_its_program() {
    let mut gateway = gateway(&[]).await;
    let session = Session::open(&gateway.url).await;
    let spinning = run(&session, "await search(q='x')\nwhile True:\n    pass");
    tokio::time::timeout(Duration::from_secs(1), spinning).await.expect_err("it spins");
    drop(session);
    let record = tokio::time::timeout(PATIENCE, gateway.process.record("code_mode.invoked")).await;
    let record = record.expect("a record well before the limit");
    assert_eq!(
        (&record["error.code"], &record["audit"]["step_count"]),
        (&json!("cancelled"), &json!(1)),
        "{record}"
    );
}

#[tokio::test]
async fn the_policy_bars_destructive_tools_and_code_mode() {
    let gateway = gateway(&[]).await;
    let session = Session::open(&gateway.url).await;
    let file = gateway.folder.path().join("policy.json");
    let set = async |policy: Value| {
        std::fs::write(&file, policy.to_string()).expect("written");
        let file = file.to_str().expect("text");
        operator(gateway.folder.path(), &["policy", "set", file, "--yes"]).await
    };
    assert_eq!(structured(&run(&session, "str(await wipe())[:0]").await)["result"], json!(""));
    let (code, _, said) = set(json!({"code_mode": {"deny_destructive": true}})).await;
    assert_eq!(code, 0, "{said}");
    crate::harness::until("the node bars it", async || {
        run(&session, "await wipe()").await.is_error == Some(true)
    })
    .await;
    let barred = failure(&run(&session, "await wipe()").await);
    assert!(barred["message"].as_str().expect("text").contains("forbidden: wipe"), "{barred}");
    let calls = gateway.upstream.count("tools/call");
    run(&session, "await wipe()").await;
    assert_eq!(gateway.upstream.count("tools/call"), calls, "nothing is sent");
    assert_eq!(set(json!({"code_mode": {"deny": true}})).await.0, 0);
    crate::harness::until("nobody runs code", async || run(&session, "1").await.is_error == Some(true)).await;
    assert_eq!(failure(&run(&session, "1").await)["code"], "forbidden");
}

#[tokio::test]
async fn an_operator_runs_a_file() {
    let gateway = gateway(&[]).await;
    let file = gateway.folder.path().join("program.py");
    let run = async |source: &str, more: &[&str]| {
        std::fs::write(&file, source).expect("written");
        let arguments = [&["code", "run", file.to_str().expect("text")], more].concat();
        operator(gateway.folder.path(), &arguments).await
    };
    let (code, stdout, said) = run("print('hello')\nlen((await get_rows())['rows'])", &[]).await;
    assert_eq!((code, stdout.as_str()), (0, "hello\n2\n"), "{said}");
    let (code, _, said) = run("await search(q='x')\n1 / 0", &[]).await;
    assert_eq!(code, 1);
    assert!(said.contains("line 2: ZeroDivisionError: division by zero (runtime_error)"), "{said}");
    assert!(said.contains("hint: 1 call(s) of tools were made"), "{said}");
    let (code, json, _) = run("[1]", &["--output", "json"]).await;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["structuredContent"]["result"]), (0, &json!([1])));
    let (code, _, said) = operator(gateway.folder.path(), &["code", "run", "/no/such/file"]).await;
    assert_eq!(code, 2, "{said}");
}
