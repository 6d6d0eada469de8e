//! The client against real upstreams on the loopback interface.

#![expect(clippy::unwrap_used, reason = "helpers of tests: whatever fails here should fail the test")]

mod calling;
mod connecting;
mod listing;
mod sessions;

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use toolplane_registry::RawJson;
use toolplane_testkit::FakeUpstream;
use toolplane_upstream::client::{Target, ToolCall, ToolResult};
use toolplane_upstream::connector::{Connector, Options};
use toolplane_upstream::{Client, Error};

/// Long enough never to pass on a busy machine.
const AMPLE: Duration = Duration::from_secs(30);

fn client() -> Client {
    client_with(Options::default())
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
    ToolCall { name: name.to_owned(), arguments: Some(RawJson::parse(arguments).unwrap()), meta: None }
}

async fn call_a(client: &Client, target: &Target) -> Result<ToolResult, Error> {
    client.call_tool(target, &call("a", "{}"), AMPLE).await
}
