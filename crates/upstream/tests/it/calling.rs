//! Calls: what arrives, what comes back, what goes wrong.

use std::time::Duration;

use toolplane_registry::{ErrorCode, RawJson};
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::fake_upstream::Fault;
use toolplane_upstream::Error;
use toolplane_upstream::client::ToolCall;
use toolplane_upstream::connector::Options;

use crate::{call, call_a, client, client_with, complete, target, with_header};

const HANDSHAKE_AND_CALL: [&str; 4] = ["initialize", "notifications/initialized", "tools/call", "(DELETE)"];

#[tokio::test]
async fn a_call_costs_a_handshake_and_its_session_is_closed_behind_it() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client();
    let result = complete(&client, &target(&upstream), &call("a", r#"{"q":1}"#)).await.unwrap();
    assert_eq!(
        result.content[0].as_str(),
        r#"{"type":"text","text":"{\"tool\":\"a\",\"arguments\":{\"q\":1}}"}"#
    );
    client.close().await;
    assert_eq!(upstream.methods(), HANDSHAKE_AND_CALL);
    assert_eq!(upstream.open_sessions(), 0);
}

#[tokio::test]
async fn the_headers_of_the_call_travel_with_every_request_of_it() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client();
    call_a(&client, &with_header(target(&upstream), "x-custom", "c")).await.unwrap();
    client.close().await;
    for request in upstream.requests() {
        assert_eq!(request.header("x-custom"), Some("c"), "{}", request.method);
        assert_eq!(request.header("accept"), Some("application/json, text/event-stream"));
        let settled = (request.method != "initialize").then_some("2025-11-25");
        assert_eq!(request.header("mcp-protocol-version"), settled, "{}", request.method);
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn arguments_meta_and_results_survive_to_the_letter() {
    let result = r#"{"content":[{"type":"x/new","n":12345678901234567890123}],"structuredContent":{"z":1e400,"a":-0.0},"_meta":{"k":[1.0]},"isError":true}"#;
    let upstream = FakeUpstream::builder().result("a", result).sse().start().await;
    let call = ToolCall {
        name: "a".to_owned(),
        arguments: Some(RawJson::parse(r#"{"b":9007199254740993,"a":1e21}"#).unwrap()),
        meta: Some(RawJson::parse(r#"{"progressToken":"t","k":null}"#).unwrap()),
        input_schema: None,
        ..ToolCall::default()
    };
    let answer = complete(&client(), &target(&upstream), &call).await.unwrap();
    assert_eq!(answer.content[0].as_str(), r#"{"type":"x/new","n":12345678901234567890123}"#);
    assert_eq!(answer.structured_content.unwrap().as_str(), r#"{"z":1e400,"a":-0.0}"#);
    assert_eq!(answer.meta.unwrap().as_str(), r#"{"k":[1.0]}"#);
    assert!(answer.is_error);
    let sent = upstream.requests().into_iter().find(|request| request.method == "tools/call").unwrap();
    assert_eq!(
        sent.params,
        r#"{"name":"a","arguments":{"b":9007199254740993,"a":1e21},"_meta":{"progressToken":"t","k":null}}"#
    );
}

#[tokio::test]
async fn absent_arguments_are_sent_as_an_empty_object_and_absent_meta_stays_absent() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    let call = ToolCall { name: "a".to_owned(), ..ToolCall::default() };
    complete(&client(), &target(&upstream), &call).await.unwrap();
    assert_eq!(upstream.requests().last().unwrap().params, r#"{"name":"a","arguments":{}}"#);
}

#[tokio::test]
async fn an_event_stream_may_hold_other_things_before_the_reply() {
    let preamble = ": hello\r\n\r\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\r\n\
        data: \"params\":{}}\r\n\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"up-1\",\"method\":\"elicitation/create\"}\n\n\
        data: {\"jsonrpc\":\"2.0\",\"id\":999,\"result\":{}}\n\n";
    let upstream = FakeUpstream::builder().tool("a").stateless().sse_preamble(preamble).start().await;
    let result = call_a(&client(), &target(&upstream)).await.unwrap();
    assert_eq!(result.content.len(), 1);
    upstream.wait_for("(response)", 1).await;
    let answers = upstream.requests();
    let answer = answers.iter().find(|request| request.method == "(response)").unwrap();
    assert_eq!(answer.params()["code"], -32601, "the upstream's own request is refused, not left hanging");
}

#[tokio::test]
async fn connections_are_reused_by_event_stream_upstreams_too() {
    let upstream = FakeUpstream::builder().tool("a").stateless().sse().start().await;
    let client = client();
    for _ in 0..5 {
        call_a(&client, &target(&upstream)).await.unwrap();
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn failures_are_told_apart_and_a_call_is_never_repeated() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let kind = |error: &Error| match error {
        Error::Status(status) => format!("status {status}"),
        Error::Unauthorized(status) => format!("unauthorized {status}"),
        Error::Rpc { code, .. } => format!("rpc {code}"),
        Error::Protocol(_) => "protocol".to_owned(),
        Error::Interrupted(_) => "interrupted".to_owned(),
        other => format!("{other:?}"),
    };
    let garbled = "data: {\"half\n\n".to_owned();
    let ended = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n".to_owned();
    let cases = [
        (Fault::Status(500), "status 500", true),
        (Fault::Status(503), "status 503", true),
        (Fault::Status(404), "status 404", false),
        (Fault::Status(429), "status 429", true),
        (Fault::Status(401), "unauthorized 401", false),
        (Fault::Status(403), "unauthorized 403", false),
        (Fault::Redirect("http://127.0.0.1:1/elsewhere".to_owned()), "status 307", false),
        (Fault::RpcError(-32001, "Bearer s3cret".to_owned()), "rpc -32001", false),
        (Fault::Garbage, "protocol", false),
        (Fault::Body(200, String::new()), "protocol", false),
        (Fault::Truncate, "interrupted", true),
        (Fault::Stream(ended), "interrupted", true),
        (Fault::Stream(garbled), "protocol", false),
    ];
    for (fault, expected, is_transient) in cases {
        let client = client();
        upstream.clear();
        upstream.fault("tools/call", fault);
        let error = call_a(&client, &target(&upstream)).await.unwrap_err();
        assert_eq!(kind(&error), expected);
        assert_eq!(error.is_transient(), is_transient, "{expected}");
        assert_eq!(error.code(), ErrorCode::UpstreamFailed);
        assert!(!error.to_string().contains("s3cret"), "{error}");
        client.close().await;
        assert_eq!(upstream.methods(), HANDSHAKE_AND_CALL, "{expected}");
    }
}

#[tokio::test]
async fn a_failing_handshake_means_that_nothing_was_called() {
    let upstream = FakeUpstream::builder().tool("a").token("t").start().await;
    let client = client();
    assert!(matches!(call_a(&client, &target(&upstream)).await, Err(Error::Unauthorized(401))));
    let authorized = with_header(target(&upstream), "authorization", "Bearer t");
    upstream.fault_once("initialize", Fault::Status(500));
    assert!(matches!(call_a(&client, &authorized).await, Err(Error::Status(500))));
    assert_eq!(upstream.count("tools/call"), 0);
    assert!(call_a(&client, &authorized).await.is_ok());
}

#[tokio::test]
async fn what_is_no_tool_result_is_an_error() {
    let upstream = FakeUpstream::builder().result("a", r#"{"content":"nope"}"#).start().await;
    assert!(matches!(call_a(&client(), &target(&upstream)).await, Err(Error::Protocol(_))));
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_the_upstream_is_told() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    upstream.fault("tools/call", Fault::Hang);
    let client = client();
    let soon = Duration::from_millis(50);
    let error = client.call_tool(&target(&upstream), &call("a", "{}"), soon).await.unwrap_err();
    assert!(matches!(error, Error::Timeout) && error.code() == ErrorCode::Timeout, "{error}");
    upstream.wait_for("notifications/cancelled", 1).await;
    upstream.wait_for("(DELETE)", 1).await;
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_its_session_closed() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    upstream.fault("tools/call", Fault::Hang);
    let client = client();
    let target = target(&upstream);
    tokio::select! {
        _ = call_a(&client, &target) => unreachable!("the upstream hangs"),
        () = upstream.wait_for("tools/call", 1) => {}
    }
    client.close().await;
    assert_eq!(upstream.count("notifications/cancelled"), 1);
    assert_eq!(upstream.count("(DELETE)"), 1);
}

#[tokio::test]
async fn a_reply_over_the_limit_is_not_read_to_its_end() {
    let large = format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(100_000));
    for builder in [FakeUpstream::builder(), FakeUpstream::builder().sse()] {
        let upstream = builder.result("a", &large).start().await;
        let client =
            client_with(Options { max_response_bytes: 50_000, max_spare_sessions: 0, ..Options::default() });
        let error = call_a(&client, &target(&upstream)).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 50_000, .. }), "{error}");
    }
}
