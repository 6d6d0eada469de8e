//! Who shares a session with whom, and what happens when the upstream forgets one.

use futures::future::join_all;
use toolplane_registry::upstream::SessionMode;
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::fake_upstream::Fault;
use toolplane_upstream::Error;
use toolplane_upstream::client::Target;
use toolplane_upstream::connector::Options;

use crate::{call_a, client, client_with, target, with_header};

fn shared(upstream: &FakeUpstream) -> Target {
    Target { session_mode: SessionMode::Shared, ..target(upstream) }
}

fn sessions_of_calls(upstream: &FakeUpstream) -> Vec<String> {
    upstream
        .requests()
        .iter()
        .filter(|request| request.method == "tools/call")
        .map(|request| request.header("mcp-session-id").unwrap_or("none").to_owned())
        .collect()
}

#[tokio::test]
async fn isolated_calls_never_share_a_session() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client();
    for _ in 0..3 {
        call_a(&client, &target(&upstream)).await.unwrap();
    }
    assert_eq!(sessions_of_calls(&upstream), ["session-1", "session-2", "session-3"]);
    client.close().await;
    assert_eq!(upstream.open_sessions(), 0);
}

#[tokio::test]
async fn an_upstream_without_sessions_is_remembered_per_configuration() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    let client = client();
    call_a(&client, &target(&upstream)).await.unwrap();
    upstream.clear();
    call_a(&client, &with_header(target(&upstream), "x-user", "other")).await.unwrap();
    assert_eq!(upstream.methods(), ["tools/call"]);
    assert_eq!(upstream.requests()[0].header("x-user"), Some("other"), "headers are those of the call");
    assert_eq!(upstream.requests()[0].header("mcp-protocol-version"), Some("2025-11-25"));
    upstream.clear();
    call_a(&client, &Target { config_id: "changed".to_owned(), ..target(&upstream) }).await.unwrap();
    assert_eq!(upstream.count("initialize"), 1);
}

#[tokio::test]
async fn an_upstream_that_starts_to_want_sessions_gets_one_handshake_and_the_call_runs_once() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    let client = client();
    call_a(&client, &target(&upstream)).await.unwrap();
    upstream.clear();
    upstream.set_stateful(true);
    call_a(&client, &target(&upstream)).await.unwrap();
    client.close().await;
    assert_eq!(
        upstream.methods(),
        ["tools/call", "initialize", "notifications/initialized", "tools/call", "(DELETE)"]
    );
}

#[tokio::test]
async fn a_refusal_that_answers_the_call_itself_is_not_taken_for_a_lost_session() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    let client = client();
    call_a(&client, &target(&upstream)).await.unwrap();
    for (fault, calls) in
        [(Fault::RpcRefusal(400, -32602), 1), (Fault::Status(500), 1), (Fault::Status(404), 2)]
    {
        upstream.clear();
        upstream.fault("tools/call", fault);
        call_a(&client, &target(&upstream)).await.unwrap_err();
        assert_eq!(upstream.count("tools/call"), calls);
    }
}

#[tokio::test]
async fn shared_calls_wait_for_one_handshake_and_share_its_session() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client();
    let target = shared(&upstream);
    let results = join_all((0..8).map(|_| call_a(&client, &target))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(upstream.count("initialize"), 1);
    assert!(sessions_of_calls(&upstream).iter().all(|session| session == "session-1"));
    assert_eq!(upstream.open_sessions(), 1);
    client.close().await;
    assert_eq!(upstream.open_sessions(), 0);
}

#[tokio::test]
async fn callers_with_other_credentials_never_share_a_session() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client();
    for (name, value) in [
        ("authorization", "Bearer alice"),
        ("authorization", "Bearer bob"),
        ("authorization", "Bearer alice"),
    ] {
        call_a(&client, &with_header(shared(&upstream), name, value)).await.unwrap();
    }
    let traced = with_header(shared(&upstream), "authorization", "Bearer bob");
    call_a(&client, &with_header(traced, "traceparent", "00-1-2-01")).await.unwrap();
    assert_eq!(sessions_of_calls(&upstream), ["session-1", "session-2", "session-1", "session-2"]);
}

#[tokio::test]
async fn a_lost_shared_session_is_replaced_once_and_only_once() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client();
    let target = shared(&upstream);
    call_a(&client, &target).await.unwrap();
    upstream.clear();
    upstream.forget_sessions();
    let results = join_all((0..8).map(|_| call_a(&client, &target))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(upstream.count("initialize"), 1);
    assert_eq!(upstream.count("(DELETE)"), 0, "there is nothing to close");

    upstream.clear();
    upstream.fault("tools/call", Fault::Status(404));
    assert!(matches!(call_a(&client, &target).await, Err(Error::Status(404))));
    assert_eq!(upstream.count("tools/call"), 2);
}

#[tokio::test]
async fn a_handshake_that_fails_is_tried_again_by_the_next_call() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client();
    upstream.fault_once("notifications/initialized", Fault::Status(500));
    assert!(call_a(&client, &shared(&upstream)).await.is_err());
    assert!(call_a(&client, &shared(&upstream)).await.is_ok());
    upstream.wait_for("(DELETE)", 1).await;
    assert_eq!(upstream.open_sessions(), 1, "the half-open session was closed");
}

#[tokio::test]
async fn shared_mode_works_with_an_upstream_that_keeps_no_sessions() {
    let upstream = FakeUpstream::builder().tool("a").stateless().start().await;
    let client = client();
    for _ in 0..3 {
        call_a(&client, &shared(&upstream)).await.unwrap();
    }
    assert_eq!(upstream.count("initialize"), 1);
    assert_eq!(upstream.count("tools/call"), 3);
}

#[tokio::test]
async fn remembered_sessions_are_bounded_and_the_evicted_are_closed() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client_with(Options { max_remembered: 2, ..Options::default() });
    for user in ["a", "b", "c", "d"] {
        call_a(&client, &with_header(shared(&upstream), "x-user", user)).await.unwrap();
    }
    upstream.wait_for("(DELETE)", 2).await;
    assert_eq!(upstream.open_sessions(), 2);
}
