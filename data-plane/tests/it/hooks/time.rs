//! The time of a call: hooks take of it, and the upstream gets what they leave.

use std::time::Duration;

use serde_json::json;
use toolplane_data_plane::Options;
use toolplane_data_plane::hooks::{OnFailure, Phase};
use toolplane_upstream::limits::Settings;

use super::{Log, Probe, SAY, call, world};
use crate::harness::{PATIENCE, World, inner};

const EXPECTED_TIMEOUT: &str = "x-envoy-expected-rq-timeout-ms";

#[tokio::test]
async fn the_callers_time_covers_hooks_and_no_rule_lets_a_call_go_on_without_one_for_want_of_it() {
    let log = Log::default();
    let mut hook = Probe::with("a", &Phase::ALL, &log);
    hook.rules.on_failure = Phase::ALL.into_iter().map(|phase| (phase, OnFailure::FailOpen)).collect();
    hook.rules.deadline = PATIENCE;
    let world = world(vec![hook]).await;
    for phase in ["authenticate", "filter_tools", "before_execute", "transform_result", "after_execute"] {
        world.upstream.clear();
        let asked = format!("hang:{phase}");
        let headers = [("x-do", asked.as_str()), (EXPECTED_TIMEOUT, "300")];
        let told = inner(&call(&world.node, "execute_tool", SAY, &headers).await);
        assert_eq!(told["code"], "call_timeout", "{phase}: {told}");
        let was_called = matches!(phase, "transform_result" | "after_execute");
        assert_eq!(world.upstream.count("tools/call"), usize::from(was_called), "{phase}");
        let words = if was_called { "the tool has run" } else { "before anything was called" };
        assert!(told["error"].as_str().unwrap().contains(words), "{phase}: {told}");
    }
}

#[tokio::test]
async fn what_hooks_leave_of_the_time_goes_to_the_upstream() {
    const TAKES: u64 = 20;
    let log = Log::default();
    let world = world(vec![Probe::with("a", &[Phase::BeforeExecute], &log)]).await;
    let takes = format!("take{TAKES}:before_execute");
    call(&world.node, "execute_tool", SAY, &[("x-do", &takes), (EXPECTED_TIMEOUT, "60000")]).await;
    let request = world.upstream.requests().into_iter().find(|r| r.method == "tools/call").unwrap();
    let left: u64 = request.header(EXPECTED_TIMEOUT).unwrap().parse().unwrap();
    assert!(left <= 60_000 - TAKES, "{left}");
}

#[tokio::test]
async fn hooks_that_are_asked_before_take_of_the_time_that_a_call_of_the_upstream_has() {
    let log = Log::default();
    let mut hook = Probe::with("a", &[Phase::BeforeExecute, Phase::ReportError], &log);
    hook.rules.deadline = PATIENCE;
    let upstream_limits = Settings { timeout: Duration::from_millis(300), ..Settings::default() };
    let options = Options { hooks: vec![hook], upstream_limits, ..Options::default() };
    let world = World::start(&["say"], options).await;
    let told = inner(&call(&world.node, "execute_tool", SAY, &[("x-do", "hang:before_execute")]).await);
    assert_eq!((&told["code"], &told["details"]["tool"]), (&json!("call_timeout"), &json!("say")));
    assert_eq!(world.upstream.count("tools/call"), 0);
}
