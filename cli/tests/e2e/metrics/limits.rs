//! What limits know, as a scraper sees it.

use serde_json::{Value, json};
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::fake_upstream::Fault;

use super::{exchange, scraped, value};
use crate::harness::{Setup, http, ready, register, standalone, until};

const NODE: &str = "toolplane_node";

/// A series of an upstream.
fn of_docs(name: &str) -> String {
    format!(r#"{NODE}_upstream_{name}{{toolplane_domain="docs""#)
}

/// Calls the tool, in one request and nothing beside it; the JSON that comes back.
async fn search(url: &str) -> Value {
    let params = json!({"name": "execute_tool", "arguments": {"tool_name": "search", "arguments": {}}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let headers = "content-type: application/json\r\naccept: application/json, text/event-stream\r\n";
    let (code, body) = exchange(url, "POST /mcp HTTP/1.1", headers, &call.to_string()).await;
    assert_eq!(code, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test]
async fn what_limits_know_is_scraped_and_goes_with_its_upstream() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup::new("standalone", folder.path())
        .set("TOOLPLANE_METRICS_LISTEN", "127.0.0.1:0")
        .set("GATEWAY_ERROR_RESULTS", "plain");
    let (mut process, url) = standalone(&setup).await;
    let metrics = scraped(&mut process).await;
    ready(&url).await;
    // One that issues session ids, so that sessions are opened ahead of need.
    let upstream = FakeUpstream::builder().tool("search").start().await;
    assert_eq!(register(&url, "docs", &upstream.url()).await.expect("an answer").0, 200);
    let call = async || search(&url).await;
    assert_eq!(call().await["tool"], "search");
    let spares = of_docs("spare_sessions");
    until("a session waits for a call", async || value(&metrics, &spares).await == Some(1.0)).await;
    for (name, expected) in [
        ("breaker", 0.0),
        ("attempts_total", 1.0),
        ("running", 0.0),
        ("waiting", 0.0),
        ("retry_budget", 10.0),
    ] {
        assert_eq!(value(&metrics, &of_docs(name)).await, Some(expected), "{name}");
    }

    upstream.fault("tools/call", Fault::Status(500));
    for _ in 0..5 {
        assert_eq!(call().await["code"], "execution_error");
    }
    assert_eq!(call().await["code"], "upstream_unavailable");
    for (name, expected) in [("breaker", 2.0), ("breaker_openings_total", 1.0), ("failures_total", 5.0)] {
        assert_eq!(value(&metrics, &of_docs(name)).await, Some(expected), "{name}");
    }
    let refused = |reason| format!(r#"{},toolplane_reason="{reason}""#, of_docs("refusals_total"));
    assert_eq!(value(&metrics, &refused("spared")).await, Some(1.0));
    assert_eq!(value(&metrics, &refused("full")).await, Some(0.0));

    let (code, body) = http(&url, "DELETE", "/registry/servers/docs", None).await.expect("an answer");
    assert_eq!(code, 200, "{body}");
    for name in ["breaker", "attempts_total", "refusals_total", "retry_budget", "spare_sessions"] {
        assert_eq!(value(&metrics, &of_docs(name)).await, None, "{name} of an upstream that is gone");
    }
}

#[tokio::test]
async fn what_a_node_has_taken_on_is_scraped_beside_what_it_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup::new("standalone", folder.path())
        .set("TOOLPLANE_METRICS_LISTEN", "127.0.0.1:0")
        .set("TOOLPLANE_MAX_REQUESTS", "1")
        .set("GATEWAY_ERROR_RESULTS", "plain");
    let (mut process, url) = standalone(&setup).await;
    let metrics = scraped(&mut process).await;
    ready(&url).await;
    let upstream = FakeUpstream::builder().stateless().tool("search").start().await;
    assert_eq!(register(&url, "docs", &upstream.url()).await.expect("an answer").0, 200);
    for (name, expected) in [
        ("requests", 0.0),
        ("requests_max", 1.0),
        ("connections_max", 8192.0),
        ("buffered_bytes", 0.0),
        ("buffered_max_bytes", 134_217_728.0),
        (r#"refusals_total{toolplane_reason="requests"}"#, 0.0),
        (r#"refusals_total{toolplane_reason="replies"}"#, 0.0),
    ] {
        let series = format!("{NODE}_{name}");
        until(name, async || value(&metrics, &series).await == Some(expected)).await;
    }

    upstream.set_result("search", r#"{"isError":true,"content":[{"type":"text","text":"no"}]}"#);
    upstream.fault_once("tools/call", Fault::Hang);
    let running = search(&url);
    let meanwhile = async {
        upstream.wait_for("tools/call", 1).await;
        assert_eq!(value(&metrics, &format!("{NODE}_requests")).await, Some(1.0));
        assert!(value(&metrics, &format!("{NODE}_buffered_bytes")).await > Some(0.0));
        let (code, _) = http(&url, "GET", "/registry/servers", None).await.expect("an answer");
        assert_eq!(code, 503);
        let refused = format!(r#"{NODE}_refusals_total{{toolplane_reason="requests"}}"#);
        assert_eq!(value(&metrics, &refused).await, Some(1.0));
        upstream.release();
    };
    let (answer, ()) = tokio::join!(running, meanwhile);
    assert_eq!(answer["code"], "upstream_error");
    // In the plain form a failure of the tool is a result like any other, and is counted as what it is.
    let failed =
        r#"_call_duration_seconds_count{toolplane_code="upstream_error",toolplane_meta_tool="execute_tool"}"#;
    assert_eq!(value(&metrics, &format!("{NODE}{failed}")).await, Some(1.0));
}
