//! Any bytes for everything that a node reads: requests, what upstreams answer, updates, its own file.
//!
//! The targets are `toolplane_data_plane::fuzzing` and `toolplane_upstream::client::fuzzing`; this feeds them with a
//! corpus (`fuzz/corpus`) and with what a seeded mutator makes of it, so that each run is the same.
//! `scripts/fuzz` runs the same for longer.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "tests: whatever is missing should fail the test"
)]

mod allocator;
mod mutate;
mod runner;
mod updates;

use runner::Target;
use toolplane_data_plane::fuzzing as node;
use toolplane_upstream::client::fuzzing as upstream;

/// Pieces of JSON and of what readers look for in it.
const JSON: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"null",
    b"true",
    b"7",
    b"-0",
    b"1e400",
    b" ",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"[[",
    b"{\"a\":",
    b"\"\"",
    b"12345678901234567890123",
    b"\"id\":7,",
    b"\"id\":null,",
    b"\"jsonrpc\":\"2.0\",",
    b"\"result\":",
    b"\"error\":{\"code\":-32602},",
    b"\"method\":\"ping\",",
    b"\"content\":",
    b"\"structuredContent\":",
    b"\"isError\":",
    b"\"_meta\":",
    b"\"resultType\":\"input_required\",",
    b"\"requestState\":",
    b"\"tools\":",
    b"\"nextCursor\":",
    b"\"params\":",
    b"\"arguments\":",
    b"\"name\":",
    b"\"io.modelcontextprotocol/protocolVersion\":",
    b"\"io.modelcontextprotocol/clientCapabilities\":",
    b"\"progressToken\":",
    b"\"inputResponses\":",
    b"\"tool_name\":",
    b"\"supportedVersions\":",
    b"\xc3\xa9",
    b"\xff",
    b"\xef\xbb\xbf",
];
/// Pieces of event streams.
const EVENTS: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"data",
    b"data:",
    b"data: ",
    b"event: message\n",
    b"id: 1\n",
    b"retry: 0\n",
    b":",
    b": comment\n",
    b"\xef\xbb\xbf",
    b"\0",
    b"data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[]}}\n\n",
    b"data:\n",
];

/// Pieces of frames between a node and a worker of code mode.
const FRAMES: &[&[u8]] = &[
    b"\x01",
    b"\x02",
    b"\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x01\x06\x00\x00\x00\"Wait\"",
    b"\x01\x07\x00\x00\x00\"Ready\"",
    b"{\"Call\":{\"id\":1,\"tool\":0,\"arguments\":{}}}",
    b"{\"Done\":",
    b"{\"end\":{\"Ok\":",
    b"\"text\":\"\",\"json\":1",
    b"\"stdout\":\"\"",
    b"[[",
    b"\\u0000",
    b"\xc3\xa9",
];

#[test]
fn frames_are_read_within_bounds() {
    let target = Target {
        name: "frames",
        entry: toolplane_sandbox::fuzzing::frames,
        words: FRAMES,
        inputs: 5_000,
        base: 64 << 10,
        per_byte: 64,
    };
    target.run(Vec::new());
}

#[test]
fn requests_are_read_within_bounds() {
    let target = Target {
        name: "requests",
        entry: node::request,
        words: JSON,
        inputs: 5_000,
        base: 64 << 10,
        per_byte: 64,
    };
    target.run(Vec::new());
}

#[test]
fn streams_are_read_within_bounds() {
    let target = Target {
        name: "streams",
        entry: upstream::stream,
        words: EVENTS,
        inputs: 5_000,
        base: 64 << 10,
        per_byte: 64,
    };
    target.run(Vec::new());
}

#[test]
fn replies_are_read_within_bounds() {
    let target = Target {
        name: "replies",
        entry: upstream::reply,
        words: JSON,
        inputs: 5_000,
        base: 64 << 10,
        per_byte: 64,
    };
    target.run(Vec::new());
}

#[test]
fn updates_are_applied_within_bounds() {
    let target = Target {
        name: "updates",
        entry: node::update,
        words: updates::WORDS,
        inputs: 500,
        base: 4 << 20,
        per_byte: 1024,
    };
    target.run(updates::corpus());
}

#[test]
fn last_good_files_are_read_within_bounds() {
    let target = Target {
        name: "last-good",
        entry: node::last_good,
        words: updates::WORDS,
        inputs: 500,
        base: 4 << 20,
        per_byte: 1024,
    };
    target.run(updates::corpus());
}
