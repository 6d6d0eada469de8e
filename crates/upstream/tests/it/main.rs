//! The client against real upstreams on the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests: whatever fails here should fail the test"
)]

mod calling;
mod connecting;
mod eras;
mod listing;
mod lossless;
mod lying;
mod resuming;
mod secured;
mod sessions;
mod spares;

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use toolplane_registry::RawJson;
use toolplane_testkit::FakeUpstream;
use toolplane_upstream::client::{Answer, Target, ToolCall, ToolResult};
use toolplane_upstream::connector::{Connector, Options};
use toolplane_upstream::{Client, Error};

/// Long enough never to pass on a busy machine.
const AMPLE: Duration = Duration::from_secs(30);

/// A client that opens no session before it is needed, so that a test can tell every request that is made.
fn client() -> Client {
    client_with(Options { max_spare_sessions: 0, ..Options::default() })
}

fn client_with(options: Options) -> Client {
    Client::new(Connector::new(options).unwrap())
}

fn target(upstream: &FakeUpstream) -> Target {
    Target::plain(upstream.url())
}

fn with_header(target: Target, name: &'static str, value: &'static str) -> Target {
    let mut headers: HeaderMap = target.headers;
    headers.insert(name, HeaderValue::from_static(value));
    Target { headers, ..target }
}

fn call(name: &str, arguments: &str) -> ToolCall {
    let arguments = Some(RawJson::parse(arguments).unwrap());
    ToolCall { name: name.to_owned(), arguments, ..ToolCall::default() }
}

async fn complete(client: &Client, target: &Target, call: &ToolCall) -> Result<ToolResult, Error> {
    match client.call_tool(target, call, AMPLE).await? {
        Answer::Complete(result) => Ok(result),
        Answer::InputRequired(result) => panic!("the upstream wants to be asked again: {result:?}"),
    }
}

async fn call_a(client: &Client, target: &Target) -> Result<ToolResult, Error> {
    complete(client, target, &call("a", "{}")).await
}
