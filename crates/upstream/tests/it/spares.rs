//! Sessions opened ahead of need: one request on the way of a call, and never two calls in one session.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use toolplane_registry::Protocol;
use toolplane_registry::protocol::Revision;
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::fake_upstream::{Fault, Recorded};
use toolplane_upstream::Client;
use toolplane_upstream::client::Target;
use toolplane_upstream::connector::Options;

use crate::{call, call_a, client_with, complete, target, with_header};

const WITH_SESSIONS: Protocol = Protocol::Handshake { revision: Revision::V2025_11_25, sessions: true };

fn told(upstream: &FakeUpstream) -> Target {
    Target { protocol: WITH_SESSIONS, ..target(upstream) }
}

fn session_of(request: &Recorded) -> String {
    request.header("mcp-session-id").unwrap().to_owned()
}

async fn wait_for_spares(client: &Client, number: usize) {
    client.spare_sessions().wait_for(|ready| *ready >= number).await.unwrap();
}

/// Holds up handshakes: a call that gets through has made none on its way.
fn hold_handshakes(upstream: &FakeUpstream) {
    upstream.fault("initialize", Fault::Hang);
}

#[tokio::test]
async fn a_known_caller_waits_for_one_request_and_no_handshake() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client_with(Options::default());
    call_a(&client, &told(&upstream)).await.unwrap();
    for _ in 0..5 {
        wait_for_spares(&client, 1).await;
        hold_handshakes(&upstream);
        upstream.clear();
        call_a(&client, &told(&upstream)).await.unwrap();
        assert_eq!(upstream.count("tools/call"), 1);
        assert_eq!(upstream.count("notifications/initialized"), 0, "no handshake came to its end meanwhile");
        upstream.clear_faults();
        upstream.wait_for("initialize", 1).await;
        upstream.release();
    }
    client.close().await;
    assert_eq!(upstream.open_sessions(), 0);
}

#[tokio::test]
async fn a_spare_is_opened_with_the_credentials_of_its_caller_and_serves_nobody_else() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client_with(Options::default());
    let as_user = |user: &'static str| with_header(told(&upstream), "authorization", user);
    call_a(&client, &with_header(as_user("alice"), "traceparent", "00-1-2-01")).await.unwrap();
    wait_for_spares(&client, 1).await;
    let opened = upstream.requests().into_iter().rfind(|request| request.method == "initialize").unwrap();
    assert_eq!(opened.header("authorization"), Some("alice"));
    assert_eq!(opened.header("traceparent"), None, "it belongs to the call that is over");
    hold_handshakes(&upstream);
    let before = upstream.count("initialize");
    let (bob, alice) = (as_user("bob"), as_user("alice"));
    let bobs = call_a(&client, &bob);
    let alices = async {
        upstream.wait_for("initialize", before + 1).await;
        call_a(&client, &alice).await.unwrap();
        upstream.clear_faults();
        upstream.release();
    };
    let (bobs, ()) = tokio::join!(bobs, alices);
    bobs.unwrap();
    client.close().await;
    assert_eq!(upstream.open_sessions(), 0);
}

#[tokio::test]
async fn no_state_leaks_between_a_hundred_interleaved_callers() {
    let upstream = FakeUpstream::builder().remembering_tool("a").start().await;
    let client = client_with(Options::default());
    let users: [&'static str; 4] = ["u1", "u2", "u3", "u4"];
    let calls = (0..100).map(|number| {
        let (client, target) = (client.clone(), with_header(told(&upstream), "x-user", users[number % 4]));
        async move {
            for round in 0..3 {
                let arguments = format!(r#"{{"caller":{number},"round":{round}}}"#);
                let result = complete(&client, &target, &call("a", &arguments)).await.unwrap();
                assert_eq!(result.content[0].as_str(), r#"{"type":"text","text":"{\"before\":null}"}"#);
            }
        }
    });
    join_all(calls).await;
    let calls = upstream.requests().into_iter().filter(|request| request.method == "tools/call");
    let sessions: Vec<String> = calls.map(|request| session_of(&request)).collect();
    assert_eq!(sessions.len(), 300);
    assert_eq!(sessions.iter().collect::<HashSet<_>>().len(), 300, "every call had a session of its own");
    client.close().await;
    assert_eq!(upstream.open_sessions(), 0, "and none was left behind");
}

#[tokio::test]
async fn a_burst_makes_room_for_the_next_one_within_the_limits() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let options = Options { max_spare_sessions: 5, max_spares_per_caller: 3, ..Options::default() };
    let client = client_with(options);
    upstream.fault("tools/call", Fault::Hang);
    let bursts = ["u1", "u2"].map(|user| with_header(told(&upstream), "x-user", user));
    let calls = join_all(bursts.iter().flat_map(|target| (0..8).map(|_| call_a(&client, target))));
    let release = async {
        upstream.wait_for("tools/call", 16).await;
        upstream.clear_faults();
        upstream.release();
    };
    tokio::join!(calls, release);
    // Sixteen that were used, and no more than five that wait.
    upstream.wait_for("(DELETE)", 16).await;
    assert!(upstream.count("initialize") <= 16 + 5, "{}", upstream.count("initialize"));
    assert!(upstream.count("initialize") >= 16 + 2, "{}", upstream.count("initialize"));
    client.close().await;
    assert_eq!(upstream.open_sessions(), 0);
}

#[tokio::test]
async fn a_spare_that_nobody_uses_expires_and_is_closed() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client_with(Options { spare_session_ttl: Duration::from_millis(20), ..Options::default() });
    call_a(&client, &told(&upstream)).await.unwrap();
    upstream.wait_for("(DELETE)", 2).await;
    assert_eq!(upstream.count("initialize"), 2, "it is not replaced");
    assert_eq!(upstream.open_sessions(), 0);
}

#[tokio::test]
async fn callers_that_never_come_back_stop_costing_a_spare_each() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client_with(Options { spare_session_ttl: Duration::from_millis(1), ..Options::default() });
    let names: Vec<&'static str> = (0..30).map(|n| &*format!("once-{n}").leak()).collect();
    for (number, name) in names.iter().enumerate() {
        upstream.clear();
        call_a(&client, &with_header(told(&upstream), "x-once", name)).await.unwrap();
        // Both sessions are over before the next caller comes, as long as there are two.
        upstream.wait_for("(DELETE)", if number < 8 { 2 } else { 1 }).await;
    }
    client.close().await;
    assert_eq!(upstream.count("initialize"), 1, "the last one had the session of its call and no spare");
    let again = with_header(told(&upstream), "x-once", names[29]);
    upstream.clear();
    call_a(&client, &again).await.unwrap();
}

#[tokio::test]
async fn spares_that_a_restarted_upstream_forgot_are_dropped_together_and_the_call_runs_once() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client_with(Options::default());
    call_a(&client, &told(&upstream)).await.unwrap();
    wait_for_spares(&client, 1).await;
    upstream.wait_for("(DELETE)", 1).await;
    upstream.clear();
    upstream.forget_sessions();
    call_a(&client, &told(&upstream)).await.unwrap();
    let calls: Vec<String> =
        upstream.requests().iter().filter(|r| r.method == "tools/call").map(session_of).collect();
    assert_eq!(calls.len(), 2, "one was turned away, one ran");
    assert_eq!(calls[0], "session-2");
    client.close().await;
    assert_eq!(upstream.open_sessions(), 0);
}

#[tokio::test]
async fn a_client_that_lets_go_of_its_spares_goes_on_calling_and_opens_no_more() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let client = client_with(Options::default());
    call_a(&client, &told(&upstream)).await.unwrap();
    wait_for_spares(&client, 1).await;
    client.close_spares();
    upstream.wait_for("(DELETE)", 2).await;
    upstream.clear();
    call_a(&client, &told(&upstream)).await.unwrap();
    client.close().await;
    assert_eq!(upstream.methods(), ["initialize", "notifications/initialized", "tools/call", "(DELETE)"]);
}
