//! The time of a call: hooks take of it, and the upstream gets what they leave.

use std::time::Duration;

use serde_json::{Value, json};
use toolplane_data_plane::Options;
use toolplane_data_plane::hooks::{OnFailure, Phase};
use toolplane_upstream::limits::Settings;

use super::{Log, Probe, SAY, call, world};
use crate::code_mode::watched;
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
async fn a_hook_that_takes_the_time_of_a_call_is_counted_and_named_in_the_log() {
    let (lines, metrics) = (watched::Log::capture(), watched::Metrics::new());
    let mut hook = Probe::with("a", &[Phase::BeforeExecute], &Log::default());
    hook.rules.deadline = PATIENCE;
    let options = metrics.watch(Options { hooks: vec![hook], ..Options::default() });
    let world = World::start(&["say"], options).await;
    let headers = [("x-do", "hang:before_execute"), (EXPECTED_TIMEOUT, "300")];
    let told = inner(&call(&world.node, "execute_tool", SAY, &headers).await);
    assert_eq!(told["code"], "call_timeout", "{told}");
    let counted = metrics.counts();
    let of_hooks: Vec<&String> =
        counted.iter().filter(|line| line.starts_with("toolplane_node_hook_calls_total")).collect();
    assert!(of_hooks.len() == 1 && of_hooks[0].contains(r#"="out_of_time""#), "{of_hooks:?}");
    assert!(of_hooks[0].ends_with(" 1"), "{of_hooks:?}");
    let said = lines.of("toolplane_data_plane::hooks::chain");
    let fields: Vec<&Value> = said.iter().map(|line| &line["fields"]).collect();
    assert_eq!(fields.len(), 1, "{said:?}");
    assert_eq!(
        (&fields[0]["hook.name"], &fields[0]["hook.failure"], &fields[0]["call.refused"]),
        (&json!("a"), &json!("out_of_time"), &json!(true))
    );
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
