//! Upstreams that lie: a typed error with a cause, within the deadline, and the next call works.

use std::time::Duration;

use toolplane_registry::Protocol;
use toolplane_registry::protocol::Revision;
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::fake_upstream::{Era, Fault};
use toolplane_upstream::client::{Answer, Target};
use toolplane_upstream::connector::Options;
use toolplane_upstream::{Client, Error};

use crate::{AMPLE, call, call_a, client, client_with, target};

/// Short, for upstreams that never end.
const SOON: Duration = Duration::from_millis(200);

fn told(upstream: &FakeUpstream, protocol: Protocol) -> Target {
    Target { protocol, ..target(upstream) }
}

/// Whatever went wrong, a proper answer is taken for one afterwards.
async fn is_healthy(client: &Client, upstream: &FakeUpstream, target: &Target) -> bool {
    upstream.clear_faults();
    call_a(client, target).await.is_ok()
}

#[tokio::test]
async fn lies_are_told_apart_and_leave_the_client_healthy() {
    let sessionless = Protocol::Handshake { revision: Revision::V2025_11_25, sessions: false };
    let metadata = "http://169.254.169.254/latest/meta-data/".to_owned();
    let cases = [
        (Fault::WrongId, "the reply answers another request"),
        (Fault::InvalidUtf8, "not valid UTF-8"),
        (Fault::Redirect(metadata), "status 307 (a redirect"),
        (Fault::Body(200, "<!doctype html><p>hello".to_owned()), "a web page"),
        (Fault::Body(200, "[]".to_owned()), "broke the protocol"),
        (Fault::Body(200, "7".to_owned()), "broke the protocol"),
        (Fault::Body(200, r#"{"id":{},"result":{}}"#.to_owned()), "broke the protocol"),
        (Fault::Stream("data: 5\n\n".to_owned()), "broke the protocol"),
        (Fault::Stream("data: \u{0}\n\n".to_owned()), "broke the protocol"),
        (Fault::Stream(String::new()), "ended before the reply"),
        (Fault::Stream("data: {\"id\":1234567,\"result\":{}}\n\n".to_owned()), "ended before the reply"),
        (Fault::Flood(Some(1 << 30)), "more than 65536 bytes"),
        (Fault::Flood(None), "more than 65536 bytes"),
    ];
    for era in [Era::Handshake, Era::Stateless] {
        let upstream = FakeUpstream::builder().tool("a").stateless().era(era).start().await;
        let protocol = if era == Era::Stateless { Protocol::Stateless } else { sessionless };
        let client = client_with(Options { max_response_bytes: 64 << 10, ..Options::default() });
        for (fault, expected) in &cases {
            upstream.clear();
            upstream.fault("tools/call", fault.clone());
            let error = call_a(&client, &told(&upstream, protocol)).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{expected}: {error}");
            assert_eq!(upstream.methods(), ["tools/call"], "{expected}");
            assert!(is_healthy(&client, &upstream, &told(&upstream, protocol)).await, "{expected}");
        }
    }
}

#[tokio::test]
async fn the_first_of_two_replies_counts_and_the_second_is_nobodys() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    let client = client();
    upstream.fault("tools/call", Fault::TwoReplies(r#"{"content":[{"type":"evil"}]}"#.to_owned()));
    for _ in 0..3 {
        assert!(call_a(&client, &target(&upstream)).await.unwrap().content.is_empty());
    }
    upstream.clear_faults();
    assert_eq!(call_a(&client, &target(&upstream)).await.unwrap().content.len(), 1);
}

#[tokio::test]
async fn replies_that_never_end_are_cut_off_at_the_deadline_or_at_the_limit() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    let client = client_with(Options { max_response_bytes: 4096, ..Options::default() });
    let target = target(&upstream);
    call_a(&client, &target).await.unwrap();
    let drip = Duration::from_millis(5);
    for fault in [Fault::Hang, Fault::Trickle(drip)] {
        upstream.fault("tools/call", fault.clone());
        let error = client.call_tool(&target, &call("a", "{}"), SOON).await.unwrap_err();
        assert!(matches!(error, Error::Timeout), "{fault:?}: {error}");
        assert!(is_healthy(&client, &upstream, &target).await);
    }
    upstream.fault("tools/call", Fault::Endless);
    let error = call_a(&client, &target).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 4096, .. }), "{error}");
    assert!(is_healthy(&client, &upstream, &target).await);
}

#[tokio::test]
async fn what_follows_the_reply_is_not_waited_for() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    let client = client();
    call_a(&client, &target(&upstream)).await.unwrap();
    upstream.fault("server/discover", Fault::Endless);
    let protocol = client.probe(&target(&upstream), Duration::from_secs(3)).await.unwrap();
    assert!(matches!(protocol, Protocol::Handshake { .. }), "a discovery without end is none");
    let answer = client.call_tool(&target(&upstream), &call("a", "{}"), AMPLE).await.unwrap();
    assert!(matches!(answer, Answer::Complete(_)));
}

#[tokio::test]
async fn one_malformed_tool_harms_no_other() {
    let upstream = FakeUpstream::builder()
        .tool_json(r#"{"name":5}"#)
        .tool_json("null")
        .tool_json(r#"{"name":"a","inputSchema":{"type":"object"}}"#)
        .tool_json(r#"{"name":"\ud800"}"#)
        .tool_json("[[1e400]]");
    let upstream = upstream.era(Era::Stateless).start().await;
    assert_eq!(client().list_tools(&target(&upstream), AMPLE).await.unwrap().tools.len(), 5);
}
