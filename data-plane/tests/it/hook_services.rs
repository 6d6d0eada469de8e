//! Hook services over gRPC: right answers, wrong ones, and none.

mod fake;
mod results;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use toolplane_data_plane::hooks::{Configured, OnFailure, Phase, Place, Rules, Service};
use toolplane_data_plane::{Address, Options};
use toolplane_proto::hooks as wire;
use toolplane_testkit::fake_upstream::Fault;

use self::fake::{Behavior, FakeHooks};
use crate::harness::{Node, PATIENCE, World, inner};

fn configured(hooks: &FakeHooks, deadline: Duration) -> Configured {
    let address = Address::parse(&hooks.address()).unwrap();
    let rules = Rules { deadline, max_in_flight: 1024, ..Rules::default() };
    Configured { name: "fake".to_owned(), place: Place::Service(Service::at(address)), rules }
}

async fn world(hooks: &FakeHooks, deadline: Duration) -> World {
    World::start(&["say"], Options { hooks: vec![configured(hooks, deadline)], ..Options::default() }).await
}

async fn say(node: &Node, headers: &[(&str, &str)]) -> Value {
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_tool","arguments":{"tool_name":"say"},"_meta":{"k":1e400}}}"#;
    let answer = node.rpc_with(message, headers).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["result"].clone()
}

fn code(result: &Value) -> String {
    inner(result)["code"].as_str().unwrap_or("ok").to_owned()
}

#[tokio::test]
async fn every_phase_travels_and_the_service_hears_of_the_end() {
    let mut hooks = FakeHooks::start().await;
    let world = world(&hooks, PATIENCE).await;
    let result = say(&world.node, &[("x-user", "ann")]).await;
    let told = inner(&result);
    assert_eq!((&told["tool"], &told["by"]), (&"say".into(), &"ann".into()), "{result}");
    let request = world.upstream.requests().into_iter().find(|r| r.method == "tools/call").unwrap();
    assert_eq!(request.headers["x-by"], "ann");
    assert!(request.params.contains(r#""arguments":{"n":1e400}"#), "{}", request.params);
    let ended = hooks.next_end().await;
    let asked = hooks.asked();
    assert_eq!(
        asked.iter().map(|(phase, _)| *phase).collect::<Vec<_>>(),
        ["authenticate", "filter_tools", "before_execute", "transform_result", "after_execute"]
    );
    for (phase, call) in &asked {
        assert_eq!((&call.id, call.request_meta.as_str()), (&ended, r#"{"k":1e400}"#));
        let identity = call.identity.as_ref().map(|identity| identity.handle.as_str());
        assert_eq!(identity, (*phase != "authenticate").then_some("handle of ann"));
    }
    let denied = say(&world.node, &[("x-user", "mallory")]).await;
    assert_eq!(code(&denied), "quota");
}

#[tokio::test]
async fn answers_that_make_no_sense_refuse_the_call_in_the_same_words() {
    let hooks = FakeHooks::start().await;
    let world = world(&hooks, Duration::from_secs(3)).await;
    assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "ok");
    let mut told = Vec::new();
    for behavior in [
        Behavior::Hang,
        Behavior::Fail,
        Behavior::UnknownPosition,
        Behavior::Repeats,
        Behavior::NoJson,
        Behavior::TooMuch,
        Behavior::NoObject,
        Behavior::ForbiddenHeader,
        Behavior::BrokenHeader,
        Behavior::OddCode,
        Behavior::TooLarge,
    ] {
        hooks.behave(behavior);
        let result = say(&world.node, &[("x-user", "ann")]).await;
        assert_eq!(code(&result), "hook_failed", "{behavior:?}");
        told.push(result.to_string());
        hooks.behave(Behavior::Well);
        assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "ok", "after {behavior:?}");
    }
    assert!(told.iter().all(|text| text == &told[0]), "nothing tells one failure from another: {told:?}");
}

#[tokio::test]
async fn visibility_is_kept_where_the_service_lets_it_and_for_the_same_key_alone() {
    let hooks = FakeHooks::start().await;
    let world = world(&hooks, PATIENCE).await;
    for (user, expected) in [("key:a", 1), ("key:a", 1), ("key:b", 2), ("key:a", 2), ("ann", 3), ("ann", 4)] {
        assert_eq!(code(&say(&world.node, &[("x-user", user)]).await), "ok");
        assert_eq!(hooks.count("filter_tools"), expected, "{user}");
    }
}

#[tokio::test]
async fn a_call_that_spans_a_restart_is_refused_and_the_next_one_is_not() {
    let mut hooks = FakeHooks::start().await;
    let world = world(&hooks, PATIENCE).await;
    assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "ok");
    hooks.hold(Phase::BeforeExecute);
    let (result, ()) = tokio::join!(say(&world.node, &[("x-user", "ann")]), async {
        hooks.held().await;
        hooks.restart().await;
    });
    assert_eq!(code(&result), "hook_failed");
    assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "ok");

    // The upstream takes so long that the service is another one by the time it is asked about the result.
    world.upstream.fault_once("tools/call", Fault::Hang);
    let before = hooks.count("before_execute");
    let (result, ()) = tokio::join!(say(&world.node, &[("x-user", "ann")]), async {
        hooks.asked_until("before_execute", before + 1).await;
        hooks.restart().await;
        world.upstream.release();
    });
    assert_eq!(code(&result), "hook_failed");
}

#[tokio::test]
async fn a_call_that_went_on_without_a_hook_is_not_refused_for_being_unknown_to_it() {
    let hooks = FakeHooks::start().await;
    let mut configured = configured(&hooks, PATIENCE);
    configured.rules.on_failure.insert(Phase::BeforeExecute, OnFailure::FailOpen);
    let world = World::start(&["say"], Options { hooks: vec![configured], ..Options::default() }).await;
    hooks.behave(Behavior::Misses);
    let result = say(&world.node, &[("x-user", "ann")]).await;
    assert_eq!(code(&result), "ok");
    assert_eq!(inner(&result)["by"], Value::Null, "nothing of the hook is in it");
    assert_eq!((hooks.count("transform_result"), hooks.count("after_execute")), (1, 1), "it is asked");
    // A call that it was told of is another matter.
    hooks.behave(Behavior::Forgets);
    assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "hook_failed");
}

#[tokio::test]
async fn a_stream_that_is_taken_back_is_no_lost_connection() {
    let hooks = FakeHooks::start().await;
    let world = world(&hooks, PATIENCE).await;
    assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "ok");
    for _ in 0..3 {
        hooks.reset_streams(true);
        assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "hook_failed");
        hooks.reset_streams(false);
        assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "ok");
    }
    assert_eq!(hooks.described(), 1, "it is one connection throughout");
}

#[tokio::test]
async fn a_connection_that_is_wound_up_delivers_what_is_awaited_and_costs_no_call() {
    let hooks = FakeHooks::start().await;
    let world = world(&hooks, PATIENCE).await;
    hooks.hold(Phase::BeforeExecute);
    let (held, ()) = tokio::join!(say(&world.node, &[("x-user", "ann")]), async {
        hooks.held().await;
        hooks.wind_up_connections().await;
        // Whether or not the node has heard of it by now.
        assert_eq!(code(&say(&world.node, &[("x-user", "ben")]).await), "ok");
        hooks.release();
    });
    assert_eq!(code(&held), "ok");
    for _ in 0..3 {
        hooks.wind_up_connections().await;
        assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "ok");
    }
}

#[tokio::test]
async fn a_service_that_comes_back_with_less_opens_nothing() {
    let mut hooks = FakeHooks::start().await;
    let world = world(&hooks, PATIENCE).await;
    assert_eq!(code(&say(&world.node, &[("x-user", "mallory")]).await), "quota");
    hooks.describe_as(wire::DescribeResponse { phases: vec![999], ..wire::DescribeResponse::default() });
    hooks.restart().await;
    assert_eq!(code(&say(&world.node, &[("x-user", "mallory")]).await), "hook_failed");
    hooks.describe_as(wire::DescribeResponse {
        phases: phase_numbers(),
        headers: vec!["x-*".to_owned()],
        ..wire::DescribeResponse::default()
    });
    hooks.restart().await;
    assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "ok");
}

#[tokio::test]
async fn a_service_that_says_too_much_of_itself_is_not_connected_to() {
    let mut hooks = FakeHooks::start().await;
    hooks.stop().await;
    let usual = || wire::DescribeResponse { phases: phase_numbers(), ..wire::DescribeResponse::default() };
    for description in [
        wire::DescribeResponse { instance: "x".repeat(129), ..usual() },
        wire::DescribeResponse { headers: vec!["x".to_owned(); 65], ..usual() },
        wire::DescribeResponse { headers: vec!["x".repeat(257)], ..usual() },
        wire::DescribeResponse { phases: vec![1; 65], ..usual() },
    ] {
        hooks.describe_as(description);
        hooks.restart().await;
        let world = world(&hooks, Duration::from_millis(500)).await;
        assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "hook_failed");
        assert_eq!(hooks.asked(), [], "it is asked nothing");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_during_a_phase_ends_the_call_and_frees_its_place() {
    let mut hooks = FakeHooks::start().await;
    let mut configured = configured(&hooks, PATIENCE);
    configured.rules.max_in_flight = 1;
    let world = World::start(&["say"], Options { hooks: vec![configured], ..Options::default() }).await;
    hooks.hold(Phase::BeforeExecute);
    tokio::select! {
        result = say(&world.node, &[("x-user", "ann")]) => panic!("it is held: {result}"),
        () = hooks.held() => {}
    }
    let (_, held) = hooks.asked().pop().unwrap();
    assert_eq!(hooks.next_end().await, held.id, "the service hears that the caller is gone");
    assert_eq!(code(&say(&world.node, &[("x-user", "ben")]).await), "ok", "and its place is free");
}

#[tokio::test]
async fn a_service_that_never_was_there_refuses_calls_and_not_the_start() {
    let mut hooks = FakeHooks::start().await;
    hooks.stop().await;
    let world = world(&hooks, Duration::from_millis(300)).await;
    assert_eq!(world.node.get("/readyz").await.status, 200);
    assert_eq!(code(&say(&world.node, &[]).await), "hook_failed");
    hooks.start_again().await;
    let up = async {
        while code(&say(&world.node, &[("x-user", "ann")]).await) != "ok" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, up).await.expect("the node finds the service once it is there");
}

#[tokio::test]
async fn a_service_that_dies_hangs_and_lies_under_load_loses_no_call_and_mixes_none_up() {
    let mut hooks = FakeHooks::start().await;
    let world = world(&hooks, Duration::from_millis(500)).await;
    let (right, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let node = &world.node;
    let caller = |number: usize| {
        let (right, refused) = (&right, &refused);
        async move {
            for round in 0..40 {
                let user = format!("u{number}r{round}");
                let result = say(node, &[("x-user", &user)]).await;
                match code(&result).as_str() {
                    "ok" => {
                        assert_eq!(inner(&result)["by"], user.as_str(), "somebody else's answer");
                        right.fetch_add(1, Ordering::Relaxed);
                    }
                    "hook_failed" => {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    other => panic!("{other}: {result}"),
                }
            }
        }
    };
    let calls = futures::future::join_all((0..24).map(caller));
    let trouble = async {
        for behavior in [Behavior::Fail, Behavior::NoJson, Behavior::Hang, Behavior::UnknownPosition] {
            hooks.asked_more(40).await;
            hooks.behave(behavior);
            hooks.asked_more(20).await;
            hooks.behave(Behavior::Well);
            hooks.asked_more(40).await;
            hooks.restart().await;
        }
    };
    // The trouble may outlast the calls, and then nobody asks any more.
    tokio::pin!(trouble);
    tokio::select! {
        _ = calls => {}
        () = async { (&mut trouble).await; std::future::pending::<()>().await } => {}
    }
    let (right, refused) = (right.into_inner(), refused.into_inner());
    assert_eq!(right + refused, 24 * 40, "every call has an answer");
    assert!(right > 0 && refused > 0, "{right} right, {refused} refused");
}

fn phase_numbers() -> Vec<i32> {
    use wire::Phase;
    let phases = [
        Phase::Authenticate,
        Phase::FilterTools,
        Phase::BeforeExecute,
        Phase::TransformResult,
        Phase::AfterExecute,
        Phase::ReportError,
    ];
    phases.into_iter().map(Into::into).collect()
}

#[tokio::test]
async fn nobody_but_the_process_that_was_started_is_believed() {
    let mut hooks = FakeHooks::start().await;
    let expected = watch::Sender::new("another".to_owned());
    let mut configured = configured(&hooks, Duration::from_millis(300));
    let Place::Service(service) = &mut configured.place else { panic!("it is a service") };
    service.instance = Some(expected.subscribe());
    let world = World::start(&["say"], Options { hooks: vec![configured], ..Options::default() }).await;
    assert_eq!(code(&say(&world.node, &[("x-user", "ann")]).await), "hook_failed");
    assert!(hooks.asked().is_empty(), "no caller is told of");
    for _ in 0..2 {
        hooks.restart().await;
        expected.send_replace(hooks.instance());
        let up = async {
            while code(&say(&world.node, &[("x-user", "ann")]).await) != "ok" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, up).await.expect("the right one is found");
    }
}
