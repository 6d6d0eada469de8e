//! Results on their way through hooks: what is held of them has to fit in with everything else that a node holds.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use toolplane_data_plane::Options;
use toolplane_data_plane::hooks::{
    Configured, Context, Error, Execution, Hook, OnFailure, Phase, Phases, Place, Rules,
};
use toolplane_data_plane::options::Capacity;
use toolplane_registry::RawJson;

use super::fake::{Behavior, FakeHooks};
use super::{code, configured, say};
use crate::harness::{PATIENCE, World, inner};

const KIB: usize = 1 << 10;
const ROOM: usize = 1 << 20;

async fn world(hook: Configured) -> World {
    let capacity = Capacity { max_buffered_bytes: ROOM, ..Capacity::default() };
    let options = Options { capacity, max_body_bytes: ROOM, hooks: vec![hook], ..Options::default() };
    World::start(&["say"], options).await
}

fn text_of(bytes: usize) -> String {
    format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(bytes))
}

fn has_run(result: &Value) -> bool {
    inner(result)["error"].as_str().is_some_and(|words| words.contains("has run"))
}

#[tokio::test]
async fn what_services_are_shown_and_answer_takes_of_the_room_for_replies() {
    let hooks = FakeHooks::start().await;
    let mut hook = configured(&hooks, PATIENCE);
    // Who makes a node full must not get past a hook by that.
    hook.rules.on_failure = Phase::ALL.into_iter().map(|phase| (phase, OnFailure::FailOpen)).collect();
    let world = world(hook).await;
    // There is the reply, a copy to show and one that travels, and later the text that comes back.
    for (size, expected) in [(300 * KIB, "ok"), (450 * KIB, "overloaded"), (300 * KIB, "ok")] {
        world.upstream.set_result("say", &text_of(size));
        let result = say(&world.node, &[("x-user", "ann")]).await;
        assert_eq!(code(&result), expected, "{size}");
        assert_eq!(has_run(&result), expected != "ok", "{size}");
        world.node.nothing_is_held().await;
    }
    world.upstream.set_result("say", &text_of(1));
    hooks.behave(Behavior::TooLarge);
    let result = say(&world.node, &[("x-user", "ann")]).await;
    assert!(
        code(&result) == "overloaded" && has_run(&result),
        "an answer is not read past the room: {result}"
    );
    world.node.nothing_is_held().await;
}

/// Makes results longer.
#[derive(Debug)]
struct Grows(usize);

#[async_trait]
impl Hook for Grows {
    fn phases(&self) -> Phases {
        [Phase::TransformResult].into_iter().collect()
    }

    async fn transform_result(
        &self,
        _: &Context<'_>,
        _: &Execution<'_>,
        _: &RawJson,
    ) -> Result<Option<RawJson>, Error> {
        Ok(Some(RawJson::parse(&text_of(self.0)).unwrap()))
    }
}

#[tokio::test]
async fn what_hooks_make_of_a_result_takes_of_the_room_for_replies() {
    for (size, expected) in [(ROOM / 2, "ok"), (2 * ROOM, "overloaded")] {
        let place = Place::InProcess(Arc::new(Grows(size)));
        let world = world(Configured { name: "grows".to_owned(), place, rules: Rules::default() }).await;
        let result = say(&world.node, &[]).await;
        assert_eq!(code(&result), expected, "{size}");
        world.node.nothing_is_held().await;
    }
}
