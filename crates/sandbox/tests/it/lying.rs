//! Workers that break the rules: shell scripts that say whatever the test wants.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use toolplane_sandbox::{Code, Failure, Limits, Options, Pool};

use crate::harness::{Tools, options, program};

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

async fn end_of(says: &str, then: &str) -> Result<String, Failure> {
    let folder = TempDir::new().expect("a folder");
    let pool =
        Pool::new(Options { ready: 0, copies: false, binary: Some(liar(&folder, says, then)), ..options() })
            .expect("a pool");
    let limits = Limits { duration: Duration::from_secs(1), calls: 3, ..Limits::default() };
    let outcome = pool.run(&program("await never()", limits), &Tools).await;
    outcome.end.map(|value| value.text)
}

async fn code_of(says: &str, then: &str) -> Code {
    end_of(says, then).await.expect_err("a lie is no result").code
}

#[tokio::test]
async fn a_worker_that_breaks_the_rules_is_ended() {
    let call = |id: u32, tool: u32, arguments: &str| {
        frame(&format!("{{\"Call\":{{\"id\":{id},\"tool\":{tool},\"arguments\":{arguments}}}}}"))
    };
    let done = |text: &str| {
        frame(&format!(
            "{{\"Done\":{{\"end\":{{\"Ok\":{{\"text\":\"{text}\",\"json\":1}}}},\"stdout\":\"\",\"truncated\":false,\"note\":null}}}}"
        ))
    };
    let failed = |message: &str| {
        frame(&format!(
            "{{\"Done\":{{\"end\":{{\"Err\":{{\"code\":\"runtime_error\",\"message\":\"{message}\",\"limit\":null,\
             \"line\":null,\"traceback\":null,\"hint\":null}}}},\"stdout\":\"\",\"truncated\":false,\"note\":null}}}}"
        ))
    };
    let lies = [
        ("no frame", "hello, this is no frame".to_owned()),
        ("another version", "\\001\\002\\000\\000\\000{}".to_owned()),
        ("a length beyond every limit", "\\002\\377\\377\\377\\377".to_owned()),
        ("no JSON", frame("nonsense")),
        ("an unknown message", frame("{\"Surprise\":1}")),
        ("a message and more", frame("\"Wait\" \"Wait\"")),
        ("an unknown field", frame("{\"Call\":{\"id\":1,\"tool\":0,\"arguments\":{},\"as\":\"root\"}}")),
        ("a second greeting", frame("\"Ready\"")),
        ("waiting for nothing", frame("\"Wait\"")),
        ("a tool that it was not given", call(1, 0, "{}")),
        ("a tool that there is not", call(1, 4_000_000_000, "{}")),
        ("arguments that are no object", call(1, 4, "[1]")),
        ("a number that is used twice", [call(1, 4, "{}"), call(1, 4, "{}")].concat()),
        (
            "printing while it waits",
            [call(1, 4, "{}"), frame("\"Wait\""), frame("{\"Printed\":{\"text\":\"x\"}}")].concat(),
        ),
        ("printing without end", frame(&format!("{{\"Printed\":{{\"text\":\"{}\"}}}}", "x".repeat(70_000)))),
        ("waiting twice", [call(1, 4, "{}"), frame("\"Wait\""), frame("\"Wait\"")].concat()),
        ("calling while it waits", [call(1, 4, "{}"), frame("\"Wait\""), call(2, 4, "{}")].concat()),
        ("a traceback without end", failed(&"x".repeat(40_000))),
        ("a frame beyond the limit", "\\002\\000\\000\\200\\000".to_owned()),
    ];
    assert_eq!(end_of(&done("3"), "sleep 30").await.expect("the truth is taken"), "3");
    for (what, says) in lies {
        assert_eq!(code_of(&says, "sleep 30").await, Code::SandboxCrashed, "{what}");
    }
    assert_eq!(code_of("", "exit 3").await, Code::SandboxCrashed);
    assert_eq!(code_of("", "sleep 30").await, Code::LimitExceeded);
    let flood = (0..5).map(|id| call(id, 4, "{}")).collect::<String>();
    assert_eq!(code_of(&flood, "sleep 30").await, Code::NestedCallLimit);
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
