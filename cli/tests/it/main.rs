//! The binary as a program: help, exit codes, messages. Nothing here needs a running gateway.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The binary with an environment of its own.
fn toolplane(folder: &TempDir, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_toolplane"))
        .args(arguments)
        .env_clear()
        .env("TOOLPLANE_DATA_DIR", folder.path().join("data"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

#[test]
fn help_and_version_are_data() {
    let folder = folder();
    let help = toolplane(&folder, &[], &["--help"]);
    assert_eq!(code(&help), 0);
    assert!(String::from_utf8_lossy(&help.stdout).contains("toolplane demo"));
    assert!(help.stderr.is_empty());
    let version = toolplane(&folder, &[], &["--version"]);
    assert_eq!(
        String::from_utf8_lossy(&version.stdout),
        concat!("toolplane ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    let folder = folder();
    for arguments in [
        &["no-such-command"][..],
        &[],
        &["upstream", "add", "crm"],
        &["upstream", "add", "crm", "http://h/mcp", "--header-env", "oops"],
        &["upstream", "update", "crm"],
        &["tool", "call", "a", "[1]"],
        &["upstream", "accept", "crm"],
        &["token", "create", "--role", "king"],
        &["token", "create", "--role", "node", "--expires-in", "soon"],
        &["token", "create", "--role", "viewer", "--allow-registration"],
        &["apply"],
        &["apply", "-f", "/does/not/exist", "--yes"],
        &["apply", "-f", "-", "--prune"],
        &["policy", "set"],
        &["policy", "set", "/does/not/exist", "--yes"],
        &["migrate", "--database-url", "mysql://h/db"],
        &["node", "list", "--control-plane", "http://cp.example:7400"],
        &["node", "list", "--control-plane", "http://127.0.0.1:1", "--token-file", "/does/not/exist"],
    ] {
        let output = toolplane(&folder, &[], arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn destructive_commands_need_yes_where_nobody_can_be_asked() {
    let folder = folder();
    for arguments in
        [&["upstream", "remove", "crm"][..], &["token", "revoke", "t"], &["policy", "set", "--remove"]]
    {
        let output = toolplane(&folder, &[], arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stderr(&output).contains("hint: repeat the command with `--yes`"), "{}", stderr(&output));
    }
}

#[test]
fn no_control_plane_ends_with_3() {
    let folder = folder();
    let output = toolplane(&folder, &[], &["upstream", "list"]);
    assert_eq!(code(&output), 3);
    insta::assert_snapshot!(stderr(&output).replace(&folder.path().display().to_string(), "FOLDER"));
    let refused = toolplane(&folder, &[], &["upstream", "list", "--control-plane", "127.0.0.1:1"]);
    assert_eq!(code(&refused), 3, "{}", stderr(&refused));
}

#[test]
fn calling_without_a_node_says_what_to_do() {
    let folder = folder();
    let output = toolplane(&folder, &[], &["tool", "call", "a"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("hint: start one with `toolplane standalone`"), "{}", stderr(&output));
    let refused = toolplane(&folder, &[], &["tool", "call", "a", "--node", "http://127.0.0.1:1/mcp"]);
    assert_eq!(code(&refused), 3, "{}", stderr(&refused));
}

#[test]
fn all_mistakes_of_the_environment_come_at_once_and_leave_nothing_behind() {
    let folder = folder();
    let variables = [("LOG_LEVEL", "LOUD"), ("GATEWAY_PORT", "x"), ("GATEWAY_UPSTREAMS", r#"{"a": 5}"#)];
    for command in ["standalone", "control-plane"] {
        let output = toolplane(&folder, &variables, &[command]);
        assert_eq!(code(&output), 2, "{command}");
        let lines: Vec<String> = stderr(&output).lines().map(str::to_owned).collect();
        let expected = if command == "standalone" { 3 } else { 2 };
        assert_eq!(lines.len(), expected, "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with("error: ")), "{lines:?}");
    }
    assert!(!folder.path().join("data").exists(), "nothing was opened");
}

#[test]
fn a_missing_key_file_is_one_line() {
    let folder = folder();
    let variables = [("TOOLPLANE_SECRET_KEY_FILE", "/does/not/exist"), ("GATEWAY_PORT", "0")];
    let output = toolplane(&folder, &variables, &["standalone"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    let errors: Vec<String> =
        stderr(&output).lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect();
    assert_eq!(errors, ["error: key file `/does/not/exist` does not exist"]);
}

#[test]
fn an_unreachable_database_is_one_line_without_the_password() {
    let folder = folder();
    let key = folder.path().join("key");
    std::fs::write(&key, "ab".repeat(32)).expect("a key file");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its rights");
    let variables = [
        ("TOOLPLANE_SECRET_KEY_FILE", key.to_str().expect("text")),
        ("TOOLPLANE_CONTROL_PLANE_DATABASE_URL", "postgres://u:s3cr3t@127.0.0.1:1/db"),
    ];
    for arguments in [&["control-plane", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
        let output = toolplane(&folder, &variables, arguments);
        assert_eq!(code(&output), 1, "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("s3cr3t"), "{}", stderr(&output));
        let errors = stderr(&output).lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{}", stderr(&output));
    }
}

#[test]
fn migrating_twice_changes_nothing() {
    let folder = folder();
    let first = toolplane(&folder, &[], &["migrate"]);
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    assert!(stderr(&first).contains("applied"), "{}", stderr(&first));
    let second = toolplane(&folder, &[], &["migrate"]);
    assert!(stderr(&second).starts_with("nothing to do"), "{}", stderr(&second));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = folder();
    let mut child = Command::new(env!("CARGO_BIN_EXE_toolplane"))
        .args(["demo", "--once"])
        .env_clear()
        .env("HOME", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
