//! Upstreams of either era: found out once, told afterwards, and what happens when they change.

use toolplane_registry::protocol::Revision;
use toolplane_registry::{Protocol, RawJson};
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::fake_upstream::{Era, Fault};
use toolplane_upstream::client::{Answer, Target, ToolCall};
use toolplane_upstream::{Client, Error};

use crate::{AMPLE, call, call_a, client, target};

const SESSIONLESS: Protocol = Protocol::Handshake { revision: Revision::V2025_11_25, sessions: false };
const WITH_SESSIONS: Protocol = Protocol::Handshake { revision: Revision::V2025_11_25, sessions: true };

fn told(upstream: &FakeUpstream, protocol: Protocol) -> Target {
    Target { protocol, ..target(upstream) }
}

async fn found(client: &Client, upstream: &FakeUpstream) -> Protocol {
    client.list_tools(&target(upstream), AMPLE).await.unwrap().protocol
}

#[tokio::test]
async fn a_listing_says_how_the_upstream_speaks() {
    let builder = || FakeUpstream::builder().tool("a");
    for (builder, expected) in [
        (builder(), WITH_SESSIONS),
        (builder().stateless(), SESSIONLESS),
        (builder().era(Era::Stateless), Protocol::Stateless),
        (builder().era(Era::Both), Protocol::Stateless),
        (builder().era(Era::Both).sse(), Protocol::Stateless),
    ] {
        let upstream = builder.start().await;
        let listing = client().list_tools(&target(&upstream), AMPLE).await.unwrap();
        assert_eq!((listing.protocol, listing.tools.len()), (expected, 1));
        assert_eq!(listing.server_name.as_deref(), Some("fake-upstream"));
        assert_eq!(client().probe(&target(&upstream), AMPLE).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_server_that_takes_no_notice_of_discovery_is_introduced_to() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    for fault in [
        Fault::Status(500),
        Fault::Status(405),
        Fault::RpcError(-32601, "no such method".to_owned()),
        Fault::RpcRefusal(400, -32600),
        Fault::Garbage,
        Fault::Body(200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned()),
    ] {
        upstream.fault("server/discover", fault.clone());
        assert_eq!(found(&client(), &upstream).await, SESSIONLESS, "{fault:?}");
    }
    upstream.fault("server/discover", Fault::Status(401));
    assert!(matches!(client().list_tools(&target(&upstream), AMPLE).await, Err(Error::Unauthorized(401))));
}

#[tokio::test]
async fn a_server_that_refuses_the_revision_and_names_it_is_asked_once_more() {
    let upstream = FakeUpstream::builder().tool("a").era(Era::Both).stateless().start().await;
    let refusal = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"","data":{"supported":["2026-07-28"]}}}"#;
    upstream.fault_once("server/discover", Fault::Body(400, refusal.to_owned()));
    assert_eq!(found(&client(), &upstream).await, Protocol::Stateless);
    assert_eq!(upstream.methods(), ["server/discover", "server/discover", "tools/list"]);
    upstream.clear();
    upstream.fault("server/discover", Fault::Body(400, refusal.to_owned()));
    assert_eq!(found(&client(), &upstream).await, SESSIONLESS);
    assert_eq!(upstream.count("server/discover"), 2);
}

#[tokio::test]
async fn told_calls_are_one_request_each_for_upstreams_without_sessions() {
    for (era, protocol, version) in
        [(Era::Stateless, Protocol::Stateless, "2026-07-28"), (Era::Handshake, SESSIONLESS, "2025-11-25")]
    {
        let upstream = FakeUpstream::builder().tool("a").stateless().era(era).start().await;
        let client = client();
        for _ in 0..5 {
            call_a(&client, &told(&upstream, protocol)).await.unwrap();
        }
        assert_eq!(upstream.methods(), ["tools/call"; 5]);
        assert_eq!(upstream.connections(), 1);
        for request in upstream.requests() {
            assert_eq!(request.header("mcp-protocol-version"), Some(version));
            let mirrored = (protocol == Protocol::Stateless).then_some("a");
            assert_eq!(request.header("mcp-name"), mirrored);
            assert_eq!(request.header("mcp-session-id"), None);
        }
    }
}

#[tokio::test]
async fn names_and_arguments_travel_in_headers_where_they_are_asked_for() {
    let upstream = FakeUpstream::builder().tool("größe").era(Era::Stateless).start().await;
    let schema = r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}"#;
    let call = ToolCall {
        input_schema: Some(RawJson::parse(schema).unwrap()),
        meta: Some(RawJson::parse(r#"{"k":[1.0]}"#).unwrap()),
        ..call("größe", r#"{"region":"eu","n":1e400}"#)
    };
    client().call_tool(&told(&upstream, Protocol::Stateless), &call, AMPLE).await.unwrap();
    let sent = upstream.requests().pop().unwrap();
    assert_eq!(sent.header("mcp-param-region"), Some("eu"));
    assert!(
        sent.params.contains(r#""arguments":{"region":"eu","n":1e400},"_meta":{"k":[1.0],"#),
        "{}",
        sent.params
    );
}

#[tokio::test]
async fn a_result_that_asks_for_input_arrives_as_data() {
    let result = r#"{"resultType":"input_required","inputRequests":{"x":{"n":1e400}},"requestState":"s"}"#;
    let upstream = FakeUpstream::builder().result("a", result).era(Era::Stateless).start().await;
    let target = told(&upstream, Protocol::Stateless);
    let answer = client().call_tool(&target, &call("a", "{}"), AMPLE).await.unwrap();
    let Answer::InputRequired(asked) = answer else { panic!("it asks: {answer:?}") };
    let members = vec![("inputRequests".to_owned(), RawJson::parse(r#"{"x":{"n":1e400}}"#).unwrap())];
    assert_eq!((asked.request_state.as_deref(), asked.members), (Some("s"), members));
}

#[tokio::test]
async fn an_upstream_that_changed_its_era_runs_the_call_once_and_the_next_costs_one_request() {
    let upstream = FakeUpstream::builder().tool("a").era(Era::Stateless).start().await;
    // Upgraded since the node was told.
    for before in [SESSIONLESS, WITH_SESSIONS, Protocol::Unknown] {
        let client = client();
        upstream.set_era(Era::Stateless);
        call_a(&client, &told(&upstream, before)).await.unwrap();
        upstream.clear();
        call_a(&client, &told(&upstream, before)).await.unwrap();
        assert_eq!(upstream.methods(), ["tools/call"], "told {before}");
    }
    // Downgraded since the node was told, to one without sessions.
    upstream.set_stateful(false);
    upstream.set_era(Era::Handshake);
    let client = client();
    upstream.clear();
    call_a(&client, &told(&upstream, Protocol::Stateless)).await.unwrap();
    assert_eq!(upstream.methods(), ["tools/call", "initialize", "notifications/initialized", "tools/call"]);
    upstream.clear();
    call_a(&client, &told(&upstream, Protocol::Stateless)).await.unwrap();
    assert_eq!(upstream.methods(), ["tools/call"]);
    // And back again, by the same client.
    upstream.set_era(Era::Stateless);
    call_a(&client, &told(&upstream, Protocol::Stateless)).await.unwrap();
    upstream.clear();
    call_a(&client, &told(&upstream, Protocol::Stateless)).await.unwrap();
    assert_eq!(upstream.methods(), ["tools/call"]);
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_repeated_in_another_era() {
    let upstream = FakeUpstream::builder().tool("a").era(Era::Both).start().await;
    for protocol in [Protocol::Stateless, SESSIONLESS] {
        for fault in [
            Fault::Status(500),
            Fault::Status(503),
            Fault::RpcError(-32603, "broken".to_owned()),
            Fault::RpcRefusal(400, -32602),
            Fault::RpcRefusal(404, -32601),
            Fault::Garbage,
            Fault::Truncate,
        ] {
            let client = client();
            upstream.clear();
            upstream.fault_once("tools/call", fault.clone());
            call_a(&client, &told(&upstream, protocol)).await.unwrap_err();
            assert_eq!(upstream.methods(), ["tools/call"], "{fault:?}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_everything_is_asked_a_bounded_number_of_times() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    for method in ["tools/call", "initialize"] {
        upstream.fault(method, Fault::Status(404));
    }
    for protocol in [Protocol::Stateless, SESSIONLESS, Protocol::Unknown] {
        upstream.clear();
        let error = call_a(&client(), &told(&upstream, protocol)).await.unwrap_err();
        assert!(matches!(error, Error::Status(404)), "{error}");
        assert!(upstream.count("tools/call") <= 2 && upstream.count("initialize") == 1, "{protocol}");
    }
}

#[tokio::test]
async fn the_older_transport_is_recognized_when_listing_and_when_calling() {
    let upstream = FakeUpstream::builder().tool("a").era(Era::OldTransport).start().await;
    let error = client().list_tools(&target(&upstream), AMPLE).await.unwrap_err();
    assert!(matches!(error, Error::OldTransport) && error.to_string().contains("HTTP+SSE"), "{error}");
    assert!(!error.was_sent() && !error.is_transient() && error.has_answered());
    for protocol in [Protocol::Stateless, SESSIONLESS, WITH_SESSIONS] {
        let error = call_a(&client(), &told(&upstream, protocol)).await.unwrap_err();
        assert!(matches!(error, Error::OldTransport), "{protocol}: {error}");
    }
}
