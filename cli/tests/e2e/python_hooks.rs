//! Hooks in Python: live objects, a process that is killed, mistakes at the start.
//!
//! `TOOLPLANE_TEST_PYTHON_HOOKS` names an interpreter with `grpcio`, see `scripts/python-env hooks`; without it these are
//! skipped, and say so.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use toolplane_testkit::FakeUpstream;

use crate::harness::{PATIENCE, Process, Setup, operator, ready, register, standalone, until};

/// Whoever calls is an object that holds a lock, and so is a note of the call.
const MODULE: &str = r#"
import asyncio, os, subprocess, threading, time

if os.path.exists(os.path.join(os.path.dirname(__file__), "broken")):
    raise RuntimeError("broken today")

class User:
    def __init__(self, name):
        self.id = name
        self.lock = threading.Lock()

class Hooks:
    async def on_authenticate(self, headers):
        return User(headers["x-user"])

    async def before_execute(self, context):
        with context.user.lock:
            context.metadata["lock"] = context.user.lock
        if context.user.id == "binary":
            os.write(1, b"\xff no text\n" + b"x" * 1_000_000 + b"\n")
        if context.user.id.startswith("spawns"):
            print("started", context.user.id, subprocess.Popen(["sleep", "3600"]).pid, flush=True)
        print("asked by", context.user.id, os.getpid(), flush=True)
        if context.user.id == "waits":
            await asyncio.sleep(3600)
        if context.user.id == "blocks":
            time.sleep(3600)
        if context.user.id == "fails":
            raise RuntimeError("not now")

    async def after_execute(self, context, result, is_error):
        assert context.metadata["lock"] is context.user.lock
        return result.replace("{", '{"by": "%s", ' % context.user.id, 1)

def create():
    return [Hooks()]

def provider():
    numbers = iter(range(100))
    async def token():
        return "token-%d" % next(numbers)
    return token

def no_provider():
    return None

def raises():
    raise RuntimeError("no hooks today")

not_callable = 1
"#;

fn python() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test asks whether it can run")]
    let found = std::env::var("TOOLPLANE_TEST_PYTHON_HOOKS").ok();
    if found.is_none() {
        #[expect(clippy::print_stderr, reason = "nobody is to believe that this ran")]
        {
            eprintln!("skipped: TOOLPLANE_TEST_PYTHON_HOOKS names no interpreter");
        }
    }
    found
}

/// A gateway with the hooks of `create`, and an upstream that it knows as `docs`.
struct World {
    folder: TempDir,
    process: Process,
    url: String,
    _upstream: FakeUpstream,
}

/// A gateway with further settings, once it is ready; `None` where there is no interpreter.
async fn world(settings: &[(&str, &str)]) -> Option<World> {
    let python = python()?;
    let folder = tempfile::tempdir().expect("a folder");
    let setup = setup(folder.path(), &python, "team_hooks:create");
    let setup = settings.iter().fold(setup, |setup, (name, value)| setup.set(name, value));
    let (process, url) = standalone(&setup).await;
    let upstream = ready_with_upstream(&url).await;
    Some(World { folder, process, url, _upstream: upstream })
}

/// Waits for a gateway and registers an upstream with it.
async fn ready_with_upstream(url: &str) -> FakeUpstream {
    ready(url).await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    register(url, "docs", &upstream.url()).await.expect("an answer");
    upstream
}

fn with_module(setup: Setup, folder: &Path, python: &str) -> Setup {
    std::fs::write(folder.join("team_hooks.py"), MODULE).expect("the module");
    setup.set("TOOLPLANE_HOOKS_PYTHON", python).set("PYTHONPATH", &folder.display().to_string())
}

fn with_hooks(setup: Setup, factory: &str) -> Setup {
    setup.set("GATEWAY_HOOK_MODULE", factory).set("GATEWAY_ALLOWED_HOOK_PREFIXES", "team_hooks")
}

fn with_provider(setup: Setup, factory: &str) -> Setup {
    setup
        .set("GATEWAY_REGISTRY_TOKEN_PROVIDER_MODULE", &format!("team_hooks:{factory}"))
        .set("GATEWAY_ALLOWED_REGISTRY_TOKEN_PROVIDER_PREFIXES", "team_hooks")
}

fn setup(folder: &Path, python: &str, factory: &str) -> Setup {
    with_hooks(with_module(Setup::new("standalone", &folder.join("data")), folder, python), factory)
}

/// What the upstream was shown when it was listed.
fn shown_for_listing(upstream: &FakeUpstream) -> String {
    let listing = upstream.requests().into_iter().find(|request| request.method == "tools/list");
    let headers = listing.expect("it was listed").headers;
    headers["authorization"].to_str().expect("text").to_owned()
}

/// Executes a tool as somebody; the JSON in the answer.
async fn say(url: &str, user: &str) -> Value {
    let authority = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an http url");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_tool","arguments":{"tool_name":"search"}}}"#;
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\nx-user: {user}\r\naccept: application/json\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(authority).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let body: Value = serde_json::from_str(body).expect("JSON");
    serde_json::from_str(body["result"]["content"][0]["text"].as_str().expect("a text")).expect("JSON")
}

/// The id of the process that was asked by somebody, when it was.
async fn asked_by(process: &mut Process, user: &str) -> String {
    id_in(process, &format!("asked by {user} ")).await
}

/// The id at the end of a line of the log.
async fn id_in(process: &mut Process, line: &str) -> String {
    let record = process.record(line).await;
    record["message"].as_str().and_then(|text| text.rsplit(' ').next()).expect("an id").to_owned()
}

/// A process that nobody reaps is gone as well.
async fn is_gone(id: &str) {
    let path = format!("/proc/{id}/stat");
    let is_gone = || std::fs::read_to_string(&path).map_or(true, |stat| stat.contains(") Z "));
    until("the process is gone", async || is_gone()).await;
}

async fn kill(id: &str) {
    let sent = Command::new("/bin/kill").args(["-KILL", id]).status().await.expect("kill runs");
    assert!(sent.success());
    is_gone(id).await;
}

#[tokio::test]
async fn live_objects_stay_with_their_call_and_a_process_that_is_killed_takes_its_calls_with_it() {
    let Some(mut world) = world(&[]).await else { return };
    let World { process, url, .. } = &mut world;

    let calls = (0..32).map(|number| {
        let url = &*url;
        async move {
            let user = format!("u{number}");
            assert_eq!(say(url, &user).await["by"], user);
        }
    });
    futures::future::join_all(calls).await;
    // Whatever a hook prints is read, so that it can go on printing.
    for user in ["binary", "ann", "bob"] {
        assert_eq!(say(url, user).await["by"], user);
    }
    asked_by(process, "bob").await;

    let waiting = say(url, "waits");
    let killing = async {
        let id = asked_by(process, "waits").await;
        kill(&id).await;
    };
    let both = async { tokio::join!(waiting, killing) };
    let (refused, ()) = tokio::time::timeout(PATIENCE, both).await.expect("an answer in time");
    assert_eq!(refused["code"], "hook_failed", "{refused}");
    until("calls are answered again", async || say(url, "later").await["by"] == "later").await;

    let second = asked_by(process, "later").await;
    assert!(world.process.terminate().await.success());
    is_gone(&second).await;
}

#[tokio::test]
async fn the_python_process_does_not_outlive_a_gateway_that_crashes() {
    let Some(mut world) = world(&[]).await else { return };
    let World { process, url, .. } = &mut world;
    assert_eq!(say(url, "ann").await["by"], "ann");
    let id = asked_by(process, "ann").await;
    world.process.crash().await;
    is_gone(&id).await;
}

#[tokio::test]
async fn what_hooks_start_ends_with_their_process_and_holds_nothing_up() {
    let Some(mut world) = world(&[]).await else { return };
    let World { process, url, .. } = &mut world;
    assert_eq!(say(url, "spawns-1").await["by"], "spawns-1");
    let first = id_in(process, "started spawns-1 ").await;
    kill(&asked_by(process, "spawns-1").await).await;
    is_gone(&first).await;
    until("calls are answered again", async || say(url, "spawns-2").await["by"] == "spawns-2").await;
    let second = id_in(process, "started spawns-2 ").await;
    assert!(world.process.terminate().await.success(), "it waits for nobody's output");
    is_gone(&second).await;
}

#[tokio::test]
async fn a_process_that_hangs_is_ended_and_started_again() {
    let settings = [("TOOLPLANE_HOOKS_PYTHON_PATIENCE", "3"), ("TOOLPLANE_HOOKS_DEADLINE", "1")];
    let Some(mut world) = world(&settings).await else { return };
    let World { process, url, .. } = &mut world;
    let refused = say(url, "blocks").await;
    assert_eq!(refused["code"], "hook_failed", "{refused}");
    let first = asked_by(process, "blocks").await;
    process.record("the process of the Python hooks hangs").await;
    is_gone(&first).await;
    until("calls are answered again", async || say(url, "later").await["by"] == "later").await;
}

#[tokio::test]
async fn a_process_that_does_not_come_up_is_tried_at_growing_intervals() {
    let settings = [("TOOLPLANE_HOOKS_ON_FAILURE", "fail_closed")];
    let Some(mut world) = world(&settings).await else { return };
    let World { folder, process, url, .. } = &mut world;
    assert_eq!(say(url, "ann").await["by"], "ann");
    let broken = folder.path().join("broken");
    std::fs::write(&broken, "").expect("a file");
    kill(&asked_by(process, "ann").await).await;
    let failures = || -> Vec<Value> {
        let records = process.records().into_iter();
        let failed = records.filter(|record| {
            record["message"].as_str().is_some_and(|text| text.contains("the Python hooks cannot be started"))
        });
        failed.collect()
    };
    until("it was tried three times", async || failures().len() >= 3).await;
    let waits: Vec<Value> = failures().iter().take(3).map(|record| record["retry_in"].clone()).collect();
    assert_eq!(waits, ["200ms", "400ms", "800ms"]);
    assert!(failures()[0]["message"].as_str().is_some_and(|text| text.contains("broken today")));
    assert_eq!(say(url, "ann").await["code"], "hook_failed");
    std::fs::remove_file(&broken).expect("it was there");
    until("calls are answered again", async || say(url, "later").await["by"] == "later").await;
}

#[tokio::test]
async fn where_the_rule_is_to_go_on_calls_go_on_without_hooks_that_fail_or_are_gone() {
    let settings = [("TOOLPLANE_HOOKS_ON_FAILURE", "fail_open"), ("TOOLPLANE_HOOKS_DEADLINE", "1")];
    let Some(mut world) = world(&settings).await else { return };
    let World { folder, process, url, .. } = &mut world;
    let went_on = say(url, "fails").await;
    assert_eq!((&went_on["tool"], &went_on["by"]), (&"search".into(), &"fails".into()), "{went_on}");
    std::fs::write(folder.path().join("broken"), "").expect("a file");
    kill(&asked_by(process, "fails").await).await;
    let went_on = say(url, "ann").await;
    assert_eq!((&went_on["tool"], &went_on["by"]), (&"search".into(), &Value::Null), "{went_on}");
    std::fs::remove_file(folder.path().join("broken")).expect("it was there");
    until("the hooks are back", async || say(url, "later").await["by"] == "later").await;
}

#[tokio::test]
async fn each_listing_asks_the_token_provider_and_a_factory_without_one_leaves_the_token() {
    let Some(python) = python() else { return };
    let listed_with = async |factory: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let setup = Setup::new("standalone", &folder.path().join("data with 100% #1"));
        let setup = with_provider(with_module(setup, folder.path(), &python), factory);
        let (process, url) = standalone(&setup.set("GATEWAY_REGISTRY_AUTH_TOKEN", "fixed")).await;
        ready(&url).await;
        let mut tokens = Vec::new();
        for domain in ["docs", "mail"] {
            let upstream = FakeUpstream::builder().tool("search").start().await;
            register(&url, domain, &upstream.url()).await.expect("an answer");
            tokens.push(shown_for_listing(&upstream));
        }
        assert!(process.terminate().await.success());
        tokens
    };
    assert_eq!(listed_with("provider").await, ["Bearer token-0", "Bearer token-1"]);
    assert_eq!(listed_with("no_provider").await, ["Bearer fixed", "Bearer fixed"]);
}

#[tokio::test]
async fn two_planes_on_one_data_folder_have_a_process_each() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (data, path) =
        (folder.path().join("data"), |name: &str| folder.path().join(name).display().to_string());
    let with_python = |command: &str| with_module(Setup::new(command, &data), folder.path(), &python);
    let control = with_provider(with_python("control-plane"), "provider")
        .arguments(&["--listen", &format!("unix:{}", path("cp.sock"))]);
    let (_control, _) = control.start("serving the admin API at").await;
    let create = ["token", "create", "--role", "node", "--allow-registration"];
    let (code, secret, said) = operator(&data, &create).await;
    assert_eq!(code, 0, "{said}");
    std::fs::write(path("token"), secret).expect("the token file");
    let node = with_hooks(with_python("data-plane"), "team_hooks:create").arguments(&[
        "--control-plane",
        &format!("unix:{}", path("cp.sock")),
        "--token-file",
        &path("token"),
    ]);
    let (_node, url) = standalone(&node).await;
    let upstream = ready_with_upstream(&url).await;
    assert_eq!(shown_for_listing(&upstream), "Bearer token-0");
    assert_eq!(say(&url, "ann").await["by"], "ann");
}

#[tokio::test]
async fn mistakes_end_the_start_and_say_what_is_wrong() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for (factory, expected) in [
        ("team_hooks", "GATEWAY_HOOK_MODULE: `team_hooks` must have the form"),
        ("other:create", "GATEWAY_HOOK_MODULE: `other` is not among GATEWAY_ALLOWED_HOOK_PREFIXES"),
        ("team_hooks.none:create", "there is no module `team_hooks.none`"),
        ("team_hooks:none", "module `team_hooks` has no `none`"),
        ("team_hooks:not_callable", "cannot be called"),
        ("team_hooks:raises", "no hooks today"),
    ] {
        let (code, said) = setup(folder.path(), &python, factory).run().await;
        assert_eq!(code, 2, "{factory}: {said}");
        assert!(said.contains(expected), "{factory}: {said}");
    }
    let (code, said) = setup(folder.path(), "/nowhere/python3", "team_hooks:create").run().await;
    assert!(code == 2 && said.contains("/nowhere/python3"), "{code} {said}");
}
