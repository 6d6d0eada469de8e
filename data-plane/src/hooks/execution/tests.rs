//! What is held of a result while hooks work on it.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use http::HeaderMap;
use toolplane_registry::Version;
use toolplane_registry::snapshot::Builder;
use toolplane_registry::test_util::{a_domain, a_tool};

use super::*;
use crate::caller::Caller;
use crate::hooks::chain::{Chain, Keep, Member};
use crate::hooks::visibility::Scope;
use crate::hooks::{Context, Hook, Phases, Rules};
use crate::live::{Live, Served, Upstreams};
use crate::metrics::Metrics;

const RESULT: usize = 100 << 10;
const TEXT: usize = 50 << 10;

/// Makes a result of one size and a text of another.
#[derive(Debug)]
struct Grows;

#[async_trait]
impl Hook for Grows {
    fn phases(&self) -> Phases {
        [Phase::TransformResult, Phase::AfterExecute].into_iter().collect()
    }

    async fn transform_result(
        &self,
        _: &Context<'_>,
        _: &Execution<'_>,
        _: &RawJson,
    ) -> Result<Option<RawJson>, Error> {
        let content = serde_json::json!([{"type": "text", "text": "x".repeat(RESULT)}]);
        Ok(Some(RawJson::from(&serde_json::json!({"content": content}))))
    }

    async fn after_execute(
        &self,
        _: &Context<'_>,
        _: &Execution<'_>,
        _: &str,
        _: bool,
    ) -> Result<Option<String>, Error> {
        Ok(Some("x".repeat(TEXT)))
    }
}

/// Counts what is held, and has room for everything.
#[derive(Debug, Default)]
struct Shelf(AtomicUsize);

impl Room for Shelf {
    fn take(&self, bytes: usize) -> bool {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_result_is_held_as_long_as_the_text_that_is_made_of_it() {
    let snapshot = Builder::new(Version::new("s", 1)).domain(a_domain("a", vec![a_tool("t")])).build();
    let served = Served::new(snapshot.unwrap()).unwrap();
    let metrics = Metrics::new(None, &Arc::new(Live::new(Upstreams::default())));
    let member = Member::new("grows", Arc::new(Grows), Rules::default(), metrics);
    let chain = Chain::new(vec![member], Keep::default());
    let caller = Caller::new(HeaderMap::new()).identified(chain.as_ref(), None).await.unwrap();
    let view = caller.view(&served, Scope::Name("t")).await.unwrap();
    let shelf = Arc::<Shelf>::default();
    let room: Arc<dyn Room> = Arc::<Shelf>::clone(&shelf);
    let task = Task { tool: view.get("t").unwrap(), deadline: caller.deadline(), room: Some(room) };
    let mut course = Course::begin(caller.visit(), task, None).await.unwrap();
    let held = || shelf.0.load(Ordering::Relaxed);
    let result = ToolResult {
        content: Vec::new(),
        structured_content: None,
        is_error: false,
        meta: None,
        extra: Vec::new(),
    };
    let result = course.transform(result).await.unwrap();
    let made = result::size(&result);
    assert!(made > RESULT && held() == made, "{made} {}", held());
    let text = course.after(String::new(), false).await.unwrap();
    assert_eq!((text.len(), held()), (TEXT, made + TEXT));
    drop(course);
    assert_eq!(held(), 0);
}
