//! Whatever a tool answers arrives as it was sent, however the reply is cut into pieces.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use toolplane_registry::protocol::Revision;
use toolplane_registry::{Protocol, RawJson};
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::fake_upstream::Era;
use toolplane_testkit::generated::{SentResult, tool_result};
use toolplane_upstream::client::{Target, ToolResult};

use crate::{call, client, complete, target};

fn spelled(json: &RawJson) -> String {
    json.as_str().to_owned()
}

fn compare(sent: &SentResult, received: &ToolResult) -> Result<(), TestCaseError> {
    prop_assert_eq!(received.content.iter().map(spelled).collect::<Vec<_>>(), sent.content.clone());
    prop_assert_eq!(received.structured_content.as_ref().map(spelled), sent.structured.clone());
    prop_assert_eq!(received.is_error, sent.is_error.unwrap_or(false));
    prop_assert_eq!(received.meta.as_ref().map(spelled), sent.meta.clone());
    let mut extra: Vec<(String, String)> =
        received.extra.iter().map(|(key, value)| (key.clone(), spelled(value))).collect();
    let mut expected = sent.extra.clone();
    extra.sort();
    expected.sort();
    prop_assert_eq!(extra, expected);
    Ok(())
}

#[test]
fn results_arrive_to_the_letter_in_json_and_in_event_streams_however_they_are_cut() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let upstream = runtime.block_on(FakeUpstream::builder().tool("a").stateless().era(Era::Both).start());
    let client = client();
    let sessionless = Protocol::Handshake { revision: Revision::V2025_11_25, sessions: false };
    // A failure prints the case, and the seed with it.
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let cases = (tool_result(), any::<bool>(), any::<bool>(), prop::collection::vec(1_usize..40, 0..6));
    let outcome = runner.run(&cases, |(sent, sse, is_stateless, pieces)| {
        upstream.set_result("a", &sent.text);
        upstream.set_sse(sse);
        upstream.set_pieces(&pieces);
        let protocol = if is_stateless { Protocol::Stateless } else { sessionless };
        let target = Target { protocol, ..target(&upstream) };
        let received = runtime.block_on(complete(&client, &target, &call("a", "{}")));
        compare(&sent, &received.map_err(|error| TestCaseError::fail(error.to_string()))?)
    });
    outcome.unwrap();
}
