//! What a caller does not see is not there: no word of an answer, no line of the log and no number tells it from a name
//! that nobody has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use toolplane_data_plane::Options;
use toolplane_registry::policy::{AccessPolicy, Effective};
use toolplane_registry::snapshot::{DomainSnapshot, Endpoint};
use toolplane_registry::test_util::a_tool;
use toolplane_registry::{Domain, RawJson, Tool};
use toolplane_testkit::{FakeControlPlane, FakeUpstream};

use super::rule::{self, rule};
use super::watched::{Log, Metrics};
use super::{answer, options};
use crate::harness::{Node, domain, snapshot};

const HIDES: &[(&str, &str)] = &[("x-user", "ann"), ("x-hide", "vault.")];

/// Names that are hidden from a caller or were never there, and as long a name of nobody: by itself, as an alias, and the
/// alias of a tool whose own name another domain has, too.
const NAMES: [(&str, &str); 3] = [
    ("secret_find", "absent_find"),
    ("vault_secret_find", "vault_absent_find"),
    ("vault_search", "vault_absent"),
];

const PROGRAMS: [&str; 9] = [
    "await NAME()",
    "NAME",
    "await search()\nx = 1\nawait NAME(q='x')",
    "try:\n    await NAME(q='x')\nexcept Exception as e:\n    said = repr(e)\nsaid",
    "import asyncio\nawait asyncio.gather(NAME(q='x'), search())",
    "print(NAME)",
    "await NAME_()",
    "NAME = 5\nf'{NAME}'",
    "def NAME():\n    return await search()\nNAME()",
];

/// The tool that is hidden. It would make the example of the description: no other asks for an argument.
fn secret(upstream: &FakeUpstream, also: &[&str]) -> DomainSnapshot {
    let schema = r#"{"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}"#;
    let tool = Tool { input_schema: RawJson::parse(schema).unwrap(), ..a_tool("secret_find") };
    let others = domain("vault", upstream, also);
    let tools = others.tools().iter().cloned().chain([Arc::new(tool)]).collect();
    DomainSnapshot::new(others.domain().clone(), String::new(), Endpoint::plain(upstream.url()), tools)
}

async fn node(domains: Vec<DomainSnapshot>, options: Options) -> Node {
    let control_plane = FakeControlPlane::start().await;
    control_plane.publish(&snapshot(1, domains));
    let hooks = vec![rule(&rule::Log::default())];
    Node::following(&control_plane, 1, Options { hooks, ..options }).await
}

/// An answer without what differs from run to run, and with one name for the tool.
fn told(body: &str, name: &str) -> String {
    let mut parts = body.split("duration_ms");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| "\\\": .".contains(c) || c.is_ascii_digit());
        told.extend(["duration_ms ", rest]);
    }
    told.replace(name, "NAME")
}

async fn ran(node: &Node, program: &str, name: &str) -> String {
    told(&answer(node, &program.replace("NAME", name), HIDES).await.body, name)
}

async fn listed(node: &Node, headers: &[(&str, &str)]) -> String {
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    node.rpc_with(list, headers).await.body
}

#[tokio::test]
async fn a_tool_that_a_hook_hides_is_answered_to_the_byte_as_one_that_was_never_there() {
    let upstream = FakeUpstream::builder().stateless().tool("search").start().await;
    let open = || domain("open", &upstream, &["search"]);
    let hidden = node(vec![open(), secret(&upstream, &["search"])], options()).await;
    let unknown = node(vec![open()], options()).await;
    for (name, nobody) in NAMES {
        for program in PROGRAMS {
            let answer = ran(&hidden, program, name).await;
            assert_eq!(answer, ran(&hidden, program, nobody).await, "{name}: {program}");
            assert_eq!(answer, ran(&unknown, program, name).await, "{name}: {program}");
        }
        let answer = ran(&hidden, "await NAME()", name).await;
        let seen = super::answer(&hidden, &format!("await {name}()"), &[]).await.body;
        assert_ne!(told(&seen, name), answer, "something is hidden: {name}");
    }
    let described = listed(&hidden, HIDES).await;
    assert_eq!(described, listed(&unknown, HIDES).await);
    assert!(!described.contains("secret") && listed(&hidden, &[]).await.contains("secret_find(q="));
}

#[tokio::test]
async fn a_tool_that_the_policy_denies_is_answered_to_the_byte_as_one_that_was_never_there() {
    let upstream = FakeUpstream::builder().stateless().tool("search").tool("other").start().await;
    let deny = BTreeMap::from([("vault".to_owned(), vec!["secret_*".to_owned()])]);
    let policy = AccessPolicy { deny, ..AccessPolicy::default() };
    let policy = Effective::resolve(Some(&policy), &[]).unwrap();
    let admitted = |entry: DomainSnapshot| {
        let domain: Domain = entry.domain().clone();
        let tools = entry.tools().iter().filter(|tool| policy.admits(&domain, &tool.original_name));
        DomainSnapshot::new(domain.clone(), String::new(), entry.endpoint().clone(), tools.cloned().collect())
    };
    let open = || domain("open", &upstream, &["search"]);
    let denied = node(vec![open(), admitted(secret(&upstream, &["other"]))], options()).await;
    let unknown = node(vec![open(), domain("vault", &upstream, &["other"])], options()).await;
    for (name, nobody) in [("secret_find", "absent_find"), ("vault_secret_find", "vault_absent_find")] {
        for program in PROGRAMS {
            let answer = ran(&denied, program, name).await;
            assert_eq!(answer, ran(&denied, program, nobody).await, "{name}: {program}");
            assert_eq!(answer, ran(&unknown, program, name).await, "{name}: {program}");
        }
    }
    assert_eq!(listed(&denied, &[]).await, listed(&unknown, &[]).await);
}

/// Whether a line of the log is about calls; the node says other things meanwhile.
fn is_of_calls(line: &Value) -> bool {
    let target = line["target"].as_str().unwrap();
    target.starts_with("toolplane::") || target.contains("::mcp") || target.contains("::code_mode")
}

/// A line of the log without what differs from run to run.
fn steady(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for varies in ["duration_ms", "time.busy", "time.idle", "code_session_id"] {
                members.remove(varies);
            }
            members.values_mut().for_each(steady);
        }
        Value::Array(items) => items.iter_mut().for_each(steady),
        Value::String(text) if text.starts_with('{') => {
            let mut inside: Value = serde_json::from_str(text).unwrap_or_default();
            steady(&mut inside);
            *value = inside;
        }
        _ => {}
    }
}

#[tokio::test]
async fn neither_the_log_nor_a_metric_tells_a_hidden_tool_from_one_that_was_never_there() {
    let upstream = FakeUpstream::builder().stateless().tool("search").start().await;
    let open = || domain("open", &upstream, &["search"]);
    let log = Log::capture();
    let mut seen = Vec::new();
    for domains in [vec![open(), secret(&upstream, &["search"])], vec![open()]] {
        let metrics = Metrics::new();
        let node = node(domains, metrics.watch(options())).await;
        log.take();
        let mut lines = Vec::new();
        for (name, _) in NAMES {
            for program in PROGRAMS {
                ran(&node, program, name).await;
                lines.extend(log.take().into_iter().filter(is_of_calls));
            }
        }
        lines.iter_mut().for_each(steady);
        assert!(lines.iter().any(|line| line["target"] == "toolplane::access"), "{lines:?}");
        assert!(lines.iter().any(|line| line["target"] == "toolplane::audit"), "{lines:?}");
        let (of_vault, counts): (Vec<_>, Vec<_>) =
            metrics.counts().into_iter().partition(|line| line.contains("\"vault\""));
        assert!(of_vault.iter().all(|line| line.ends_with(" 0")), "nobody called it: {of_vault:?}");
        seen.push((lines, counts));
    }
    let (never, hidden) = (seen.pop().unwrap(), seen.pop().unwrap());
    assert_eq!(hidden.0, never.0);
    // How often hooks were asked is counted, too.
    assert_eq!(hidden.1, never.1);
}
