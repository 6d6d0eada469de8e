//! What callers see through hooks, and what of it is kept from one to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use toolplane_data_plane::Options;
use toolplane_data_plane::hooks::{
    Configured, Context, Error, Hook, Identity, Phase, Phases, Place, Rules, Visible,
};
use toolplane_registry::view::Entry;

use crate::harness::{Node, World, inner};

/// Knows callers by a header of its own, and shows tools to none but those that it knows itself.
#[derive(Debug)]
struct Staff {
    header: &'static str,
    phases: Phases,
    asked: Arc<AtomicUsize>,
}

impl Staff {
    fn hook(header: &'static str, phases: &[Phase], asked: &Arc<AtomicUsize>) -> Configured {
        let hook = Self { header, phases: phases.iter().copied().collect(), asked: Arc::clone(asked) };
        let place = Place::InProcess(Arc::new(hook));
        Configured { name: header.to_owned(), place, rules: Rules::default() }
    }
}

#[async_trait]
impl Hook for Staff {
    fn phases(&self) -> Phases {
        self.phases
    }

    async fn authenticate(&self, context: &Context<'_>) -> Result<Option<Identity>, Error> {
        let team = context.headers.get(self.header).and_then(|value| value.to_str().ok());
        Ok(team.map(|team| Identity {
            handle: "known".to_owned(),
            subject: team.to_owned(),
            visibility_key: team.to_owned(),
            value: None,
        }))
    }

    async fn filter_tools(
        &self,
        context: &Context<'_>,
        tools: &[&Entry],
        _: Option<&str>,
    ) -> Result<Visible, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let knows = context
            .identity
            .is_some_and(|identity| identity.handle == "known" && identity.subject != "blocked");
        let positions = if knows { (0..tools.len()).collect() } else { Vec::new() };
        Ok(Visible { positions, keep_for: Duration::from_mins(1) })
    }
}

async fn sees(node: &Node, headers: &[(&str, &str)]) -> bool {
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_tool_schema","arguments":{"tool_name":"say"}}}"#;
    let result: Value = node.rpc_with(message, headers).await.json()["result"].clone();
    inner(&result)["name"] == "say"
}

#[tokio::test]
async fn keys_of_different_hooks_are_never_taken_for_each_other() {
    let insider = &[("x-a", "eng")][..];
    let stranger = &[("x-b", "eng")][..];
    let blocked = &[("x-a", "eng"), ("x-b", "blocked")][..];
    let expected = [(insider, true), (stranger, false), (blocked, false)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let asked = Arc::default();
        let hooks = vec![
            Staff::hook("x-a", &[Phase::Authenticate, Phase::FilterTools], &asked),
            Staff::hook("x-b", &[Phase::Authenticate], &asked),
        ];
        let world = World::start(&["say"], Options { hooks, ..Options::default() }).await;
        for round in 1..=2 {
            for at in order {
                let (headers, sees_it) = expected[at];
                assert_eq!(sees(&world.node, headers).await, sees_it, "{headers:?} in round {round}");
            }
            assert_eq!(asked.load(Ordering::Relaxed), 3, "each is asked about once");
        }
    }
}
