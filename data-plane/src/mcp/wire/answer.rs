//! What goes back.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::mcp::reply::Outcome;

#[derive(Serialize)]
struct Response<'a> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    result: &'a Outcome,
}

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
pub(in crate::mcp) fn response(id: &RawValue, result: &Outcome) -> Vec<u8> {
    // Room for all of it: answers are long, and growing copies what is there.
    written_into(
        Vec::with_capacity(id.get().len() + result.length()),
        &Response { jsonrpc: "2.0", id, result },
    )
}

/// An error response.
pub(in crate::mcp) fn failure(id: Option<&RawValue>, code: i32, message: &str) -> Vec<u8> {
    written(&Failure { jsonrpc: "2.0", id, error: FailureBody { code, message } })
}

/// A message as bytes.
pub(in crate::mcp) fn written(message: &impl Serialize) -> Vec<u8> {
    written_into(Vec::with_capacity(128), message)
}

#[expect(
    clippy::expect_used,
    reason = "messages have string keys and hold valid JSON; memory takes any write"
)]
fn written_into(mut out: Vec<u8>, message: &impl Serialize) -> Vec<u8> {
    serde_json::to_writer(&mut out, message).expect("a message is serializable");
    out
}
