//! Event streams that the upstream ends before the reply.

use toolplane_registry::Protocol;
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::fake_upstream::{Era, Fault};
use toolplane_upstream::Error;
use toolplane_upstream::client::Target;

use crate::{call_a, client, target};

const PRIMING: &str = "id: e1\nretry: 60\ndata: \n\n";

fn reply(id: u64) -> String {
    let result = r#"{"content":[{"type":"text","text":"late"}]}"#;
    format!("id: e2\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n\n")
}

#[tokio::test]
async fn a_stream_that_ends_after_an_event_with_an_id_is_taken_up_and_the_call_runs_once() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    upstream.fault("tools/call", Fault::Stream(PRIMING.to_owned()));
    // The handshake has the first number.
    upstream.fault("(GET)", Fault::Stream(reply(2)));
    let result = call_a(&client(), &target(&upstream)).await.unwrap();
    assert_eq!(result.content[0].as_str(), r#"{"type":"text","text":"late"}"#);
    let asked = upstream.requests().into_iter().find(|request| request.method == "(GET)").unwrap();
    assert_eq!(asked.header("last-event-id"), Some("e1"));
    assert_eq!(asked.header("accept"), Some("text/event-stream"));
    assert!(asked.header("mcp-session-id").is_some());
    assert_eq!(upstream.count("tools/call"), 1);
}

#[tokio::test]
async fn a_stream_may_end_more_than_once() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    upstream.fault("tools/call", Fault::Stream(PRIMING.to_owned()));
    upstream.fault("(GET)", Fault::Stream("id: e7\ndata:\n\n: nothing yet\n\n".to_owned()));
    let calling = async { call_a(&client(), &target(&upstream)).await };
    let answering = async {
        upstream.wait_for("(GET)", 2).await;
        upstream.fault("(GET)", Fault::Stream(reply(2)));
    };
    tokio::join!(calling, answering).0.unwrap();
    let asked: Vec<_> = upstream.requests().into_iter().filter(|request| request.method == "(GET)").collect();
    let ids: Vec<_> = asked.iter().map(|request| request.header("last-event-id").unwrap()).collect();
    assert!(ids.len() > 2 && ids[..2] == ["e1", "e7"], "{ids:?}");
}

#[tokio::test]
async fn a_call_whose_rest_is_not_to_be_had_is_lost_and_never_sent_again() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    upstream.fault("tools/call", Fault::Stream(PRIMING.to_owned()));
    for status in [404, 405, 500] {
        upstream.clear();
        upstream.fault("(GET)", Fault::Status(status));
        let error = call_a(&client(), &target(&upstream)).await.unwrap_err();
        assert!(
            matches!(&error, Error::Interrupted(reason) if reason.contains(&status.to_string())),
            "{error}"
        );
        assert_eq!(upstream.count("tools/call"), 1);
    }
}

#[tokio::test]
async fn nothing_is_taken_up_without_an_id_or_in_the_stateless_revision() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    upstream.fault("tools/call", Fault::Stream("retry: 60\ndata: \n\n".to_owned()));
    assert!(matches!(call_a(&client(), &target(&upstream)).await, Err(Error::Interrupted(_))));
    assert_eq!(upstream.count("(GET)"), 0);

    let upstream = FakeUpstream::builder().tool("a").era(Era::Stateless).start().await;
    upstream.fault("tools/call", Fault::Stream(PRIMING.to_owned()));
    let told = Target { protocol: Protocol::Stateless, ..target(&upstream) };
    assert!(matches!(call_a(&client(), &told).await, Err(Error::Interrupted(_))));
    assert_eq!(upstream.methods(), ["tools/call"]);
}
