//! Workers that break the rules: shell scripts that say whatever the test wants.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use toolplane_sandbox::{Code, Limits, Options, Outcome, Pool, StoppedBy};

use crate::harness::{Tools, options, program};

/// What a worker does that has said what it had to say.
pub(crate) const THEN_WAITS: &str = "sleep 30";

/// A frame as `printf` writes it.
fn frame(body: &str) -> String {
    let bytes = u32::try_from(body.len()).expect("short").to_le_bytes();
    let header: Vec<String> = std::iter::once(&2).chain(&bytes).map(|byte| format!("\\{byte:03o}")).collect();
    let header = header.concat();
    format!("{header}{}", body.replace('\\', "\\\\").replace('%', "%%"))
}

/// A worker that greets and then, when it has been given a program, says this and waits.
fn liar(folder: &TempDir, says: &str, then: &str) -> PathBuf {
    let path = folder.path().join("worker");
    let script = format!(
        "#!/bin/sh\nprintf '{}'\nhead -c 20 > /dev/null\nprintf '{}{says}'\n{then}\n",
        frame("\"Ready\""),
        frame("\"Taken\""),
    );
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("may be run");
    path
}

/// What comes of a run on a worker that says this and then does that.
pub(crate) async fn outcome_of(says: &str, then: &str) -> Outcome {
    let folder = TempDir::new().expect("a folder");
    let pool =
        Pool::new(Options { ready: 0, copies: false, binary: Some(liar(&folder, says, then)), ..options() })
            .expect("a pool");
    let limits = Limits { duration: Duration::from_secs(1), calls: 3, ..Limits::default() };
    pool.run(&program("await never()", limits), &Tools).await
}

async fn failure_of(says: &str, then: &str) -> (Code, StoppedBy) {
    let outcome = outcome_of(says, then).await;
    (outcome.end.expect_err("a lie is no result").code, outcome.stopped_by)
}

fn call(id: u32, tool: u32, arguments: &str) -> String {
    frame(&format!("{{\"Call\":{{\"id\":{id},\"tool\":{tool},\"arguments\":{arguments}}}}}"))
}

fn printed(text: &str) -> String {
    frame(&format!("{{\"Printed\":{{\"text\":\"{text}\",\"truncated\":false}}}}"))
}

fn done_with(json: &str) -> String {
    let end = format!("{{\"Ok\":{{\"text\":\"1\",\"json\":{json}}}}}");
    frame(&format!("{{\"Done\":{{\"end\":{end},\"stdout\":\"\",\"truncated\":false,\"note\":null}}}}"))
}

/// What a worker might say, and what is wrong about it.
pub(crate) fn lies() -> Vec<(&'static str, String)> {
    let failed = |message: &str| {
        frame(&format!(
            "{{\"Done\":{{\"end\":{{\"Err\":{{\"code\":\"runtime_error\",\"message\":\"{message}\",\"limit\":null,\
             \"line\":null,\"traceback\":null,\"hint\":null}}}},\"stdout\":\"\",\"truncated\":false,\"note\":null}}}}"
        ))
    };
    vec![
        ("no frame", "hello, this is no frame".to_owned()),
        ("another version", "\\001\\002\\000\\000\\000{}".to_owned()),
        ("a length beyond every limit", "\\002\\377\\377\\377\\377".to_owned()),
        ("no JSON", frame("nonsense")),
        ("an unknown message", frame("{\"Surprise\":1}")),
        ("a message and more", frame("\"Wait\" \"Wait\"")),
        ("an unknown field", frame("{\"Call\":{\"id\":1,\"tool\":0,\"arguments\":{},\"as\":\"root\"}}")),
        ("a second greeting", frame("\"Ready\"")),
        ("waiting for nothing", frame("\"Wait\"")),
        ("a tool that it was not given", call(1, 5, "{}")),
        ("a tool that there is not", call(1, 4_000_000_000, "{}")),
        ("arguments that are no object", call(1, 4, "[1]")),
        ("a number that is used twice", [call(1, 4, "{}"), call(1, 4, "{}")].concat()),
        ("printing while it waits", [call(1, 4, "{}"), frame("\"Wait\""), printed("x")].concat()),
        ("printing without end", printed(&"x".repeat(70_000))),
        ("printing nothing", printed("")),
        ("printing byte by byte", printed("x").repeat(2_000)),
        ("a value that is nested too deeply", done_with(&format!("{}{}", "[".repeat(200), "]".repeat(200)))),
        ("a value that is too large", done_with(&format!("[{}1]", "1,".repeat(600_000)))),
        ("waiting twice", [call(1, 4, "{}"), frame("\"Wait\""), frame("\"Wait\"")].concat()),
        ("calling while it waits", [call(1, 4, "{}"), frame("\"Wait\""), call(2, 4, "{}")].concat()),
        ("a traceback without end", failed(&"x".repeat(40_000))),
        ("a frame beyond the limit", "\\002\\000\\000\\200\\000".to_owned()),
    ]
}

#[tokio::test]
async fn a_worker_that_breaks_the_rules_is_ended() {
    let done = |text: &str| {
        frame(&format!(
            "{{\"Done\":{{\"end\":{{\"Ok\":{{\"text\":\"{text}\",\"json\":1}}}},\"stdout\":\"\",\"truncated\":false,\"note\":null}}}}"
        ))
    };
    let told = outcome_of(&done("3"), THEN_WAITS).await;
    assert_eq!(
        (told.end.expect("the truth is taken").text.as_str(), told.stopped_by),
        ("3", StoppedBy::Worker)
    );
    for (what, says) in lies() {
        let failure = failure_of(&says, THEN_WAITS).await;
        assert_eq!(failure, (Code::SandboxCrashed, StoppedBy::Check), "{what}");
    }
    assert_eq!(failure_of("", "exit 3").await, (Code::SandboxCrashed, StoppedBy::Crash));
    assert_eq!(failure_of("", "exit 65").await, (Code::LimitExceeded, StoppedBy::Ceiling));
    assert_eq!(failure_of("", THEN_WAITS).await, (Code::LimitExceeded, StoppedBy::Kill));
    let flood = (0..5).map(|id| call(id, 4, "{}")).collect::<String>();
    assert_eq!(failure_of(&flood, THEN_WAITS).await, (Code::NestedCallLimit, StoppedBy::Check));
}

#[tokio::test]
async fn a_binary_that_is_no_worker_is_said() {
    let binary = Some(PathBuf::from("/bin/true"));
    for copies in [true, false] {
        let pool =
            Pool::new(Options { ready: 1, binary: binary.clone(), copies, ..options() }).expect("a pool");
        pool.check().await.expect_err("no worker");
        let outcome = pool.run(&program("1", Limits::default()), &Tools).await;
        assert_eq!(outcome.end.expect_err("no worker").code, Code::SandboxUnavailable);
    }
}
