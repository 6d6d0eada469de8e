//! Results on their way through hooks: what is held of them has to fit in with everything else that a node holds.

use std::sync::Arc;

use async_trait::async_trait;
use toolplane_data_plane::Options;
use toolplane_data_plane::hooks::{
    Configured, Context, Error, Execution, Hook, Phase, Phases, Place, Rules,
};
use toolplane_data_plane::options::Capacity;
use toolplane_registry::RawJson;

use super::{code, say};
use crate::harness::World;

const ROOM: usize = 1 << 20;

async fn world(hook: Configured) -> World {
    let capacity = Capacity { max_buffered_bytes: ROOM, ..Capacity::default() };
    let options = Options { capacity, max_body_bytes: ROOM, hooks: vec![hook], ..Options::default() };
    World::start(&["say"], options).await
}

fn text_of(bytes: usize) -> String {
    format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(bytes))
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
