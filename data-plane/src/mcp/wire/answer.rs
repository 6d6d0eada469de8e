//! What goes back.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::mcp::pieces::Pieces;
use crate::mcp::reply::Outcome;

#[derive(Serialize)]
struct Failure<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    error: FailureBody<'a>,
}

#[derive(Serialize)]
struct FailureBody<'a> {
    code: i32,
    message: &'a str,
}

/// A successful response.
pub(in crate::mcp) fn response(id: &RawValue, result: &Outcome) -> Pieces {
    let mut out = Pieces::new();
    out.put(r#"{"jsonrpc":"2.0","id":"#);
    out.put(id.get());
    out.put(r#","result":"#);
    result.write(&mut out);
    out.put("}");
    out
}

/// An error response.
pub(in crate::mcp) fn failure(id: Option<&RawValue>, code: i32, message: &str) -> Vec<u8> {
    written(&Failure { jsonrpc: "2.0", id, error: FailureBody { code, message } })
}

/// A message as bytes.
#[expect(
    clippy::expect_used,
    reason = "messages have string keys and hold valid JSON; memory takes any write"
)]
pub(in crate::mcp) fn written(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("a message is serializable")
}
