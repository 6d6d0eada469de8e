//! Hooks in this process: every phase of a call, what is handed on, and what a failure means.

mod room;
mod time;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use toolplane_data_plane::Options;
use toolplane_data_plane::hooks::{
    Changes, Configured, Context, Denial, Error, Execution, Failure, Hook, Identity, OnFailure, Phase,
    Phases, Place, Reported, Rules, Visible,
};
use toolplane_data_plane::options::{ErrorResults, InstructionsScope};
use toolplane_registry::RawJson;
use toolplane_registry::view::Entry;
use toolplane_testkit::fake_upstream::Fault;
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

use crate::harness::{Node, World, domain, inner, snapshot};

type Log = Arc<Mutex<Vec<String>>>;

/// Does in each phase what the caller's `x-do` asks for, and notes what it was told.
#[derive(Debug)]
struct Probe {
    tag: &'static str,
    phases: Phases,
    log: Log,
}

fn header<'a>(context: &Context<'a>, name: &str) -> &'a str {
    context.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl Probe {
    fn with(tag: &'static str, phases: &[Phase], log: &Log) -> Configured {
        let phases = phases.iter().copied().collect();
        let hook = Arc::new(Self { tag, phases, log: Arc::clone(log) });
        Configured { name: tag.to_owned(), place: Place::InProcess(hook), rules: Rules::default() }
    }

    async fn note(&self, phase: Phase, context: &Context<'_>, what: String) -> Result<(), Error> {
        let who = context.identity.map_or("-", |identity| identity.subject.as_str());
        self.log.lock().unwrap().push(format!("{} {} {who} {what}", self.tag, phase.word()));
        match header(context, "x-do").split_once(':') {
            Some(("deny", on)) if on == phase.word() => Err(Denial::with_code("no", "quota").unwrap().into()),
            Some(("fail", on)) if on == phase.word() => {
                Err(Failure::Failed("secret words".to_owned()).into())
            }
            Some(("full", on)) if on == phase.word() => Err(Failure::NoRoom.into()),
            Some(("hang", on)) if on == phase.word() => std::future::pending().await,
            // The one thing here that only time does; a slow machine takes longer still.
            Some(("take20", on)) if on == phase.word() => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Hook for Probe {
    fn phases(&self) -> Phases {
        self.phases
    }

    async fn authenticate(&self, context: &Context<'_>) -> Result<Option<Identity>, Error> {
        self.note(Phase::Authenticate, context, String::new()).await?;
        let user = header(context, "x-user");
        let own = || Identity {
            subject: format!("{user}@{}", self.tag),
            handle: self.tag.to_owned(),
            value: Some(Arc::new(user.to_owned())),
            ..Identity::default()
        };
        Ok((!user.is_empty() && !user.starts_with(self.tag)).then(own))
    }

    async fn filter_tools(
        &self,
        context: &Context<'_>,
        tools: &[&Entry],
        domain: Option<&str>,
    ) -> Result<Visible, Error> {
        let names: Vec<&str> = tools.iter().map(|tool| tool.name()).collect();
        self.note(Phase::FilterTools, context, format!("{names:?} {domain:?}")).await?;
        let hides = header(context, "x-hide");
        let kept = tools.iter().enumerate().filter(|(_, tool)| {
            hides.is_empty()
                || !format!("{}.{}", tool.domain().domain(), tool.tool().original_name).starts_with(hides)
        });
        Ok(Visible { positions: kept.map(|(at, _)| at).collect(), keep_for: Duration::ZERO })
    }

    async fn before_execute(
        &self,
        context: &Context<'_>,
        execution: &Execution<'_>,
    ) -> Result<Changes, Error> {
        let told =
            format!("{} {} {:?}", execution.tool.name(), execution.arguments.as_str(), execution.metadata);
        self.note(Phase::BeforeExecute, context, told).await?;
        let mut changes = Changes::default().header("X-Set-By", self.tag);
        if let Some(value) = context.identity.and_then(|identity| identity.value.as_ref()) {
            assert_eq!(value.downcast_ref::<String>().unwrap(), header(context, "x-user"));
        }
        changes.metadata.insert(self.tag.to_owned(), RawJson::parse("1e400").unwrap());
        changes.arguments = match header(context, "x-arguments") {
            "" => None,
            text => Some(RawJson::parse(text).unwrap()),
        };
        Ok(changes)
    }

    async fn transform_result(
        &self,
        context: &Context<'_>,
        _: &Execution<'_>,
        result: &RawJson,
    ) -> Result<Option<RawJson>, Error> {
        self.note(Phase::TransformResult, context, String::new()).await?;
        let changed = result.as_str().replacen('{', &format!(r#"{{"by_{}":1,"#, self.tag), 1);
        Ok(Some(RawJson::parse(&changed).unwrap()))
    }

    async fn after_execute(
        &self,
        context: &Context<'_>,
        execution: &Execution<'_>,
        text: &str,
        is_error: bool,
    ) -> Result<Option<String>, Error> {
        self.note(Phase::AfterExecute, context, format!("{is_error} {:?}", execution.metadata)).await?;
        Ok(Some(format!("{}({text})", self.tag)))
    }

    async fn report_error(
        &self,
        context: &Context<'_>,
        _: &Execution<'_>,
        error: &Reported<'_>,
    ) -> Result<(), Error> {
        self.note(Phase::ReportError, context, format!("{} {}", error.code, error.is_from_upstream)).await
    }

    fn end_call(&self, _: &str, _: Option<&str>) {
        self.log.lock().unwrap().push(format!("{} end", self.tag));
    }
}

async fn world(hooks: Vec<Configured>) -> World {
    World::start(&["say"], Options { hooks, ..Options::default() }).await
}

async fn call(node: &Node, tool: &str, arguments: &str, headers: &[(&str, &str)]) -> Value {
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    );
    let answer = node.rpc_with(&message, headers).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["result"].clone()
}

const SAY: &str = r#"{"tool_name":"say"}"#;

#[tokio::test]
async fn phases_come_in_order_and_what_one_hook_does_reaches_the_next() {
    let log = Log::default();
    let [a, b] = ["a", "b"].map(|tag| Probe::with(tag, &Phase::ALL, &log));
    let world = world(vec![a, b]).await;
    let headers = [("x-user", "ann"), ("x-set-by", "caller"), ("x-arguments", r#"{"n":1e400}"#)];
    let result = call(&world.node, "execute_tool", SAY, &headers).await;
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with(r#"b(a({"tool": "say", "result": "#), "{text}");
    let got: Vec<String> = std::mem::take(&mut *log.lock().unwrap());
    assert_eq!(
        got,
        [
            "a authenticate - ",
            "b authenticate - ",
            r#"a filter_tools ann@b ["say"] None"#,
            r#"b filter_tools ann@b ["say"] None"#,
            r"a before_execute ann@b say {} {}",
            r#"b before_execute ann@b say {"n":1e400} {"a": 1e400}"#,
            "a transform_result ann@b ",
            "b transform_result ann@b ",
            r#"a after_execute ann@b false {"a": 1e400, "b": 1e400}"#,
            r#"b after_execute ann@b false {"a": 1e400, "b": 1e400}"#,
            "a end",
            "b end",
        ]
    );
    let request = world.upstream.requests().into_iter().find(|r| r.method == "tools/call").unwrap();
    assert!(request.params.contains(r#""arguments":{"n":1e400}"#), "{}", request.params);
    assert_eq!(request.headers.get_all("x-set-by").iter().collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn a_denial_stops_the_call_and_names_its_code_and_the_tool() {
    let log = Log::default();
    let [a, b] = ["a", "b"].map(|tag| Probe::with(tag, &Phase::ALL, &log));
    let world = world(vec![a, b]).await;
    for phase in ["authenticate", "filter_tools", "before_execute", "transform_result", "after_execute"] {
        world.upstream.clear();
        log.lock().unwrap().clear();
        let result = call(&world.node, "execute_tool", SAY, &[("x-do", &format!("deny:{phase}"))]).await;
        let details = match phase {
            "authenticate" | "filter_tools" => Value::Null,
            _ => json!({"tool": "say", "domain": "echo"}),
        };
        assert_eq!(result["isError"], true);
        let told = inner(&result);
        assert_eq!(
            (&told["error"], &told["code"], &told["details"]),
            (&json!("no"), &json!("quota"), &details)
        );
        let was_called = matches!(phase, "transform_result" | "after_execute");
        assert_eq!(world.upstream.count("tools/call"), usize::from(was_called), "{phase}");
        let noted = log.lock().unwrap().clone();
        assert!(!noted.iter().any(|line| line.starts_with(&format!("b {phase}"))), "{noted:?}");
    }
}

#[tokio::test]
async fn a_failure_is_refused_with_a_code_that_says_nothing_unless_the_rules_let_it_pass() {
    let log = Log::default();
    let mut open = Probe::with("a", &Phase::ALL, &log);
    open.rules.on_failure = Phase::ALL.into_iter().map(|phase| (phase, OnFailure::FailOpen)).collect();
    open.rules.deadline = Duration::from_millis(50);
    let mut closed = Probe::with("a", &Phase::ALL, &log);
    closed.rules.deadline = Duration::from_millis(50);
    for (hook, passes) in [(open, true), (closed, false)] {
        let options = Options { error_results: ErrorResults::Plain, hooks: vec![hook], ..Options::default() };
        let world = World::start(&["say"], options).await;
        for what in ["fail", "hang"] {
            for phase in
                ["authenticate", "filter_tools", "before_execute", "transform_result", "after_execute"]
            {
                let asked = format!("{what}:{phase}");
                let result = call(&world.node, "execute_tool", SAY, &[("x-do", &asked)]).await;
                if passes {
                    assert!(result.to_string().contains("say"), "{asked}: {result}");
                    assert_eq!(result["isError"], false, "{asked}");
                    continue;
                }
                assert_eq!(result["isError"], true, "marked even where other errors are not");
                assert_eq!(inner(&result)["code"], "hook_failed", "{asked}");
                let told = result.to_string();
                assert!(!told.contains("secret") && !told.contains(phase), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn errors_of_the_upstream_are_reported_and_no_later_phase_runs() {
    let log = Log::default();
    let world = world(vec![Probe::with("a", &[Phase::AfterExecute, Phase::ReportError], &log)]).await;
    world.upstream.fault("tools/call", Fault::Status(500));
    let result = call(&world.node, "execute_tool", SAY, &[("x-do", "fail:report_error")]).await;
    assert_eq!(inner(&result)["code"], "execution_error");
    let noted = log.lock().unwrap().clone();
    assert_eq!(noted, ["a report_error - execution_error false", "a end"]);
}

#[tokio::test]
async fn hidden_and_unknown_are_the_same_bytes_in_every_answer() {
    let log = Log::default();
    let upstream = FakeUpstream::builder().stateless().tool("search").tool("list").start().await;
    let control_plane = FakeControlPlane::start().await;
    let [open, secret] = ["open", "secret"].map(|name| domain(name, &upstream, &["search", "list"]));
    let hook = Probe::with("a", &[Phase::FilterTools], &log);
    let options = Options { hooks: vec![hook.clone()], ..Options::default() };
    control_plane.publish(&snapshot(1, vec![open.clone(), secret]));
    let hidden = Node::following(&control_plane, 1, options).await;
    let without = FakeControlPlane::start().await;
    without.publish(&snapshot(1, vec![open]));
    let unknown = Node::following(&without, 1, Options { hooks: vec![hook], ..Options::default() }).await;
    for (tool, arguments) in [
        ("discover_tools", "{}"),
        ("discover_tools", r#"{"query":"search"}"#),
        ("discover_tools", r#"{"query":"secret"}"#),
        ("discover_tools", r#"{"domain":"secret"}"#),
        ("discover_tools", r#"{"domain":"secret","group":"general"}"#),
        ("discover_tools", r#"{"domain":"open"}"#),
        ("discover_tools", r#"{"domain":"open","format":"signatures"}"#),
        ("get_tool_schema", r#"{"tool_name":"secret_search"}"#),
        ("get_tool_schema", r#"{"tool_name":"open_search"}"#),
        ("get_tool_schema", r#"{"tool_name":"search"}"#),
        ("execute_tool", r#"{"tool_name":"secret_list"}"#),
        ("execute_tool", r#"{"tool_name":"list"}"#),
        ("execute_tool", r#"{"tool_name":"serch"}"#),
        ("refresh_registry", "{}"),
    ] {
        let told = call(&hidden, tool, arguments, &[("x-hide", "secret.")]).await;
        assert_eq!(told, call(&unknown, tool, arguments, &[]).await, "{tool} {arguments}");
        if tool == "refresh_registry" {
            // There are only so many of these a minute.
            continue;
        }
        for trouble in ["fail:filter_tools", "deny:filter_tools"] {
            let told = call(&hidden, tool, arguments, &[("x-do", trouble), ("x-hide", "secret.")]).await;
            let other = call(&unknown, tool, arguments, &[("x-do", trouble)]).await;
            assert_eq!(told, other, "{trouble} {tool} {arguments}");
            assert_eq!(told["isError"], true, "{trouble} {tool} {arguments}: it is asked in any case");
        }
        let seen = call(&hidden, tool, arguments, &[]).await;
        assert_ne!(told, seen, "{tool} {arguments}: something is hidden");
    }
}

#[tokio::test]
async fn interleaved_callers_see_and_are_only_themselves() {
    let log = Log::default();
    let world = world(vec![Probe::with("h", &Phase::ALL, &log)]).await;
    let node = &world.node;
    let calls = (0..64).map(|number| async move {
        let (user, hides) = (format!("u{number}"), if number % 2 == 0 { "echo." } else { "" });
        let headers = [("x-user", user.as_str()), ("x-hide", hides)];
        let result = call(node, "execute_tool", SAY, &headers).await;
        assert_eq!(result["isError"], number % 2 == 0, "{result}");
    });
    futures::future::join_all(calls).await;
    assert_eq!(log.lock().unwrap().iter().filter(|line| line.as_str() == "h end").count(), 64);
}

#[tokio::test]
async fn no_more_answers_are_awaited_than_there_is_room_for() {
    let log = Log::default();
    let mut hook = Probe::with("a", &[Phase::BeforeExecute], &log);
    hook.rules.max_in_flight = 1;
    let world = world(vec![hook]).await;
    let hanging = call(&world.node, "execute_tool", SAY, &[("x-do", "hang:before_execute")]);
    tokio::pin!(hanging);
    let other = async {
        while log.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        call(&world.node, "execute_tool", SAY, &[]).await
    };
    tokio::select! {
        result = &mut hanging => panic!("it hangs: {result}"),
        result = other => assert_eq!(inner(&result)["code"], "hook_failed"),
    }
}

#[tokio::test]
async fn instructions_name_what_the_caller_sees_or_the_same_for_everybody() {
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    for (instructions_scope, is_told) in [(InstructionsScope::Caller, false), (InstructionsScope::All, true)]
    {
        let hooks = vec![Probe::with("a", &Phase::ALL, &Log::default())];
        let options = Options { hooks, instructions_scope, ..Options::default() };
        let world = World::start(&["say"], options).await;
        for (headers, expected) in [
            (&[("x-hide", "echo.")][..], is_told),
            (&[("x-do", "deny:authenticate")], is_told),
            (&[("x-do", "fail:filter_tools")], is_told),
            (&[], true),
        ] {
            let answer = world.node.rpc_with(initialize, headers).await.json();
            let text = answer["result"]["instructions"].as_str().unwrap();
            assert_eq!(text.contains("**echo**"), expected, "{headers:?}: {text}");
        }
    }
}
