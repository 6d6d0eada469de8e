//! A node that is full: what that means where hooks are shown a result, and where they are not.

use serde_json::json;
use toolplane_data_plane::hooks::{OnFailure, Phase};

use super::{Log, Probe, SAY, call, world};
use crate::harness::inner;

#[tokio::test]
async fn no_room_refuses_a_call_whose_result_is_shown_and_is_a_failure_like_any_other_elsewhere() {
    for rule in [OnFailure::FailOpen, OnFailure::FailClosed] {
        let mut hook = Probe::with("a", &Phase::ALL, &Log::default());
        hook.rules.on_failure = Phase::ALL.into_iter().map(|phase| (phase, rule)).collect();
        let world = world(vec![hook]).await;
        for phase in [
            Phase::Authenticate,
            Phase::FilterTools,
            Phase::BeforeExecute,
            Phase::TransformResult,
            Phase::AfterExecute,
        ] {
            let expected = match (phase, rule) {
                (Phase::TransformResult | Phase::AfterExecute, _) => "overloaded",
                (_, OnFailure::FailOpen) => "ok",
                (_, OnFailure::FailClosed) => "hook_failed",
            };
            let asked = format!("full:{}", phase.word());
            let result = call(&world.node, "execute_tool", SAY, &[("x-do", &asked)]).await;
            let code = if result["isError"] == false { json!("ok") } else { inner(&result)["code"].clone() };
            assert_eq!(code, expected, "{asked} {rule:?}");
        }
    }
}
