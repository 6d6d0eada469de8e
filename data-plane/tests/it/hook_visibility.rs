//! What callers see through hooks, and what of it is kept from one to the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use toolplane_data_plane::Options;
use toolplane_data_plane::hooks::{
    Configured, Context, Error, Hook, Identity, Phase, Phases, Place, Rules, Visible,
};
use toolplane_registry::view::Entry;
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

use crate::harness::{Node, World, domain, inner, snapshot};

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

/// Hides everything of the domain `secret`, and notes the tools of each question.
#[derive(Debug, Default)]
struct Counting(Mutex<Vec<Vec<String>>>);

#[async_trait]
impl Hook for Counting {
    fn phases(&self) -> Phases {
        [Phase::FilterTools].into_iter().collect()
    }

    async fn filter_tools(
        &self,
        _: &Context<'_>,
        tools: &[&Entry],
        _: Option<&str>,
    ) -> Result<Visible, Error> {
        self.0.lock().unwrap().push(tools.iter().map(|tool| tool.name().to_owned()).collect());
        let visible =
            tools.iter().enumerate().filter(|(_, tool)| tool.domain().domain().as_str() != "secret");
        Ok(Visible { positions: visible.map(|(at, _)| at).collect(), keep_for: Duration::ZERO })
    }
}

#[tokio::test]
async fn what_nobody_has_costs_as_many_questions_as_what_is_hidden_and_none_about_the_rest() {
    let counting = Arc::new(Counting::default());
    let upstream = FakeUpstream::builder().stateless().start().await;
    let others: Vec<String> = (0..500).map(|number| format!("q{number}z")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let control_plane = FakeControlPlane::start().await;
    control_plane.publish(&snapshot(
        1,
        vec![
            domain("house", &upstream, &["door_open", "door_lock"]),
            domain("others", &upstream, &others),
            domain("secret", &upstream, &["vault_open", "vault_lock"]),
        ],
    ));
    let place = Place::InProcess(Arc::<Counting>::clone(&counting));
    let hooks = vec![Configured { name: "counting".to_owned(), place, rules: Rules::default() }];
    let node = Node::following(&control_plane, 1, Options { hooks, ..Options::default() }).await;
    let asked = async |tool: &str, arguments: Value| {
        let answer = node.ask(tool, &arguments.to_string()).await;
        (answer, std::mem::take(&mut *counting.0.lock().unwrap()))
    };
    for tool in ["get_tool_schema", "execute_tool"] {
        let (_, visible) = asked(tool, json!({"tool_name": "door_open"})).await;
        assert_eq!(visible, [["door_open"]], "{tool}");
        let (_, hidden) = asked(tool, json!({"tool_name": "vault_open"})).await;
        let near = ["door_open", "vault_lock"].map(ToOwned::to_owned).to_vec();
        assert_eq!(hidden, [vec!["vault_open".to_owned()], near], "{tool}");
        for (name, suggestions) in [
            ("vault_opem", json!([])),
            ("vault_shut", json!([])),
            ("door_shut", json!(["door_lock", "door_open"])),
        ] {
            let (answer, unknown) = asked(tool, json!({"tool_name": name})).await;
            assert_eq!(answer["details"]["suggestions"], suggestions, "{tool} {name}");
            assert_eq!(unknown.len(), hidden.len(), "{tool} {name}: as many questions");
            assert_eq!(unknown[0].len(), hidden[0].len(), "{tool} {name}: about somebody else");
            assert!(unknown[1].len() <= 4, "{tool} {name}: {unknown:?}");
        }
        let (answer, nothing_near) = asked(tool, json!({"tool_name": "wxyzwxyz"})).await;
        assert_eq!(answer["code"], "tool_not_found");
        assert_eq!((nothing_near.len(), nothing_near[1].len()), (2, 0));
    }
    for tools in ["secret", "nobody"] {
        let (answer, questions) = asked("discover_tools", json!({"domain": tools})).await;
        assert_eq!(answer["code"], "domain_not_found");
        let sizes: Vec<usize> = questions.iter().map(Vec::len).collect();
        assert_eq!(sizes, [if tools == "secret" { 2 } else { 0 }, 504], "the domain, and all that there are");
    }
}
