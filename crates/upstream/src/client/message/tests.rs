//! What is written, and what a reply is told by.

use super::*;

#[test]
fn replies_are_told_apart_by_their_id() {
    let kind = |text: &str| match parse(text.as_bytes(), 7) {
        Ok(Incoming::Reply(Ok(result))) => format!("result {result}"),
        Ok(Incoming::Reply(Err(error))) => error.to_string(),
        Ok(Incoming::Request { method, .. }) => format!("request {method}"),
        Ok(Incoming::Other) => "other".to_owned(),
        Ok(Incoming::Note(_)) => "note".to_owned(),
        Err(error) => format!("broken: {error}"),
    };
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":7,"result":{"a":1}}"#), r#"result {"a":1}"#);
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":8,"result":{}}"#), "other");
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":"7","result":{}}"#), "other");
    assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#), "other");
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#), "request ping");
    assert_eq!(
        kind(r#"{"id":7,"error":{"code":-32602,"message":"Bearer s3cret"}}"#),
        "the upstream answered with error -32602"
    );
    assert_eq!(
        kind(r#"{"id":null,"error":{"code":-32700,"message":""}}"#),
        "the upstream answered with error -32700"
    );
    assert!(kind(r#"{"jsonrpc":"2.0","id":7}"#).starts_with("broken"));
    assert!(kind("this is not JSON").starts_with("broken"));
    assert!(kind(r#"[7,null,null,{"content":[]},null]"#).starts_with("broken"), "members have names");
    assert!(kind(r#"{"id":7,"error":[-1,"words",null]}"#).starts_with("the upstream broke the protocol"));
}

#[test]
fn only_a_refusal_of_our_request_counts_as_its_answer() {
    let body = |id: &str| format!(r#"{{"id":{id},"error":{{"code":-32600,"message":"m"}}}}"#);
    assert!(parse_refusal(body("7").as_bytes(), 7).is_some());
    for id in ["null", "\"server-error\"", "8"] {
        assert!(parse_refusal(body(id).as_bytes(), 7).is_none(), "{id}");
    }
    assert!(parse_refusal(b"not found", 7).is_none());
}

#[test]
fn a_call_is_written_with_raw_arguments_and_meta_only_when_there_is_one() {
    let mut call = ToolCall { name: "t".to_owned(), ..ToolCall::default() };
    let text = |call: &ToolCall| String::from_utf8(Ask::Call(call).write(1, false).unwrap()).unwrap();
    assert_eq!(
        text(&call),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{}}}"#
    );
    call.arguments = Some(RawJson::parse(r#"{"b":1e400,"a":1.0}"#).unwrap());
    call.meta = Some(RawJson::parse(r#"{"k":null}"#).unwrap());
    assert!(
        text(&call).ends_with(r#""arguments":{"b":1e400,"a":1.0},"_meta":{"k":null}}}"#),
        "{}",
        text(&call)
    );
}

#[test]
fn an_unknown_protocol_version_is_refused() {
    let introduction = |version: &str| {
        let text = format!(r#"{{"protocolVersion":"{version}","serverInfo":{{"name":"s","version":"1"}}}}"#);
        parse_introduction(&serde_json::from_str::<Raw>(&text).unwrap())
    };
    assert_eq!(introduction("2025-03-26").unwrap().server_name.as_deref(), Some("s"));
    assert!(introduction("1999-01-01").is_err());
}
