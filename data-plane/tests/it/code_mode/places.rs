//! Programs at one time: of a node, and of one caller, whom no header makes another one.

use futures::FutureExt as _;
use toolplane_data_plane::Options;
use toolplane_data_plane::code_mode::Settings;
use toolplane_data_plane::hooks::Configured;
use toolplane_testkit::fake_upstream::Fault;

use super::rule::{self, rule};
use super::watched::Metrics;
use super::{failure, run, settings, told};
use crate::harness::World;

/// A node with places for two programs, of each caller one.
async fn world(hooks: Vec<Configured>, metrics: &Metrics) -> World {
    let settings = Settings { max_runs: 2, max_runs_per_caller: 1, ..settings() };
    let options = Options { code_mode: Some(settings), hooks, ..Options::default() };
    World::start(&["say"], metrics.watch(options)).await
}

fn hits(metrics: &Metrics, limit: &str) -> u64 {
    metrics.read(&format!(r#"toolplane_node_code_mode_limit_hits_total{{toolplane_limit="{limit}"}}"#))
}

#[tokio::test]
async fn a_caller_whom_nobody_knows_gets_no_second_place_by_another_header() {
    let metrics = Metrics::new();
    let world = world(Vec::new(), &metrics).await;
    world.upstream.fault_once("tools/call", Fault::Hang);
    let first = run(&world.node, "await say()", &[("authorization", "Bearer a")]);
    let others = async {
        world.upstream.wait_for("tools/call", 1).await;
        for token in ["Bearer a", "Bearer b", ""] {
            let refused = failure(&world.node, "1", &[("authorization", token)]).await;
            assert_eq!(refused["code"], "rate_limited", "{token}");
        }
        assert_eq!((hits(&metrics, "runs_per_caller"), hits(&metrics, "runs")), (3, 0));
        world.upstream.release();
    };
    let (first, ()) = tokio::join!(first, others);
    assert_eq!(first["isError"], false, "{first}");
    assert_eq!(told(&world.node, "1", &[]).await["result"], 1, "the place is free again");
}

#[tokio::test]
async fn callers_whom_a_hook_knows_have_places_of_their_own_as_long_as_the_node_has_any() {
    let metrics = Metrics::new();
    let world = world(vec![rule(&rule::Log::default())], &metrics).await;
    world.upstream.fault("tools/call", Fault::Hang);
    let runs = ["ann", "bob"].map(|user| {
        let node = &world.node;
        async move { run(node, "await say()", &[("x-user", user)]).await }.boxed_local()
    });
    let others = async {
        world.upstream.wait_for("tools/call", 2).await;
        for (user, code) in [("ann", "rate_limited"), ("eve", "overloaded")] {
            assert_eq!(failure(&world.node, "1", &[("x-user", user)]).await["code"], code);
        }
        assert_eq!((hits(&metrics, "runs_per_caller"), hits(&metrics, "runs")), (1, 1));
        world.upstream.clear_faults();
        world.upstream.release();
    };
    let (runs, ()) = tokio::join!(futures::future::join_all(runs), others);
    assert!(runs.iter().all(|result| result["isError"] == false), "{runs:?}");
}
