//! A process: its settings, its start, its log, its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{PATIENCE, TOKEN};

/// Settings of a process before it starts.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// A program, with its arguments, that becomes the binary.
    under: Vec<String>,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
}

/// A running `toolplane`.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: watch::Receiver<Vec<Value>>,
    /// Reads the log; ends with the process.
    reader: JoinSet<()>,
}

// ---- Setup ----

impl Setup {
    /// A gateway or plane with its data in a folder.
    pub(crate) fn new(command: &str, folder: &Path) -> Self {
        let setup =
            Self { under: Vec::new(), arguments: vec![command.to_owned()], variables: BTreeMap::new() };
        setup
            .set("TOOLPLANE_DATA_DIR", &folder.display().to_string())
            .set("TOOLPLANE_LOG_FORMAT", "json")
            .set("GATEWAY_HOST", "127.0.0.1")
            .set("GATEWAY_PORT", "0")
            .set("GATEWAY_REGISTRATION_TOKEN", TOKEN)
    }

    pub(crate) fn set(mut self, variable: &str, value: &str) -> Self {
        self.variables.insert(variable.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Runs it under a program that ends by executing what follows its own arguments.
    pub(crate) fn under(mut self, program: &[&str]) -> Self {
        self.under = program.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Starts it and waits for a record of its log that begins with `message`; returns both.
    pub(crate) async fn start(&self, message: &str) -> (Process, Value) {
        let mut process = self.spawn();
        let record = process.record(message).await;
        (process, record)
    }

    /// Starts it, expecting that it ends by itself: its exit code and what it said.
    pub(crate) async fn run(&self) -> (i32, String) {
        let (code, _, said) = self.output().await;
        (code, said)
    }

    /// The same, with what it printed: exit code, stdout, stderr.
    pub(crate) async fn output(&self) -> (i32, String, String) {
        let output =
            tokio::time::timeout(PATIENCE, self.command().output()).await.expect("it ends").expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().expect("no signal ended it");
        (code, text(&output.stdout), text(&output.stderr))
    }

    fn command(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_toolplane").to_owned();
        let mut words = self.under.iter().chain([&binary]).chain(&self.arguments);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).env_clear().envs(&self.variables).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn spawn(&self) -> Process {
        let mut child = self.command().spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
        let (writer, log) = watch::channel(Vec::new());
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let record = serde_json::from_str(&line).unwrap_or_else(|_| json!({"message": line}));
                writer.send_modify(|records| records.push(record));
            }
        });
        Process { child, log, reader }
    }
}

// ---- Process ----

impl Process {
    /// The first record that begins with `message`, when it is there.
    pub(crate) async fn record(&mut self, message: &str) -> Value {
        let begins =
            |record: &&Value| record["message"].as_str().is_some_and(|text| text.starts_with(message));
        let mut log = self.log.clone();
        let found =
            tokio::time::timeout(PATIENCE, log.wait_for(|records| records.iter().any(|r| begins(&r)))).await;
        match found {
            Ok(Ok(records)) => records.iter().find(begins).expect("it was there").clone(),
            _ => panic!("no record `{message}` in {:#?}", self.log.borrow()),
        }
    }

    /// What it has said so far.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.log.borrow().clone()
    }

    /// Its id, as the system knows it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Ends it as a crash does; what it had said by then.
    pub(crate) async fn crash(mut self) -> Vec<Value> {
        self.child.start_kill().expect("it is killed");
        self.ended().await.1
    }

    /// Asks it to end.
    pub(crate) async fn terminate(self) -> ExitStatus {
        self.ask_to_end().await;
        self.ended().await.0
    }

    /// Asks it to end, and does not wait until it has.
    pub(crate) async fn ask_to_end(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().await;
        assert!(sent.expect("kill runs").success());
    }

    /// Waits until it has ended: how, and what it said.
    pub(crate) async fn ended(self) -> (ExitStatus, Vec<Value>) {
        let Self { mut child, log, reader } = self;
        let status = tokio::time::timeout(PATIENCE, child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("it does not end: {:#?}", log.borrow()));
        reader.join_all().await;
        let records = log.borrow().clone();
        (status.expect("its status"), records)
    }
}

/// Starts `standalone` and waits until it serves MCP.
pub(crate) async fn standalone(setup: &Setup) -> (Process, String) {
    let (process, record) = setup.start("serving MCP at").await;
    (process, record["url"].as_str().expect("a url").to_owned())
}

/// Runs an operator's command against the gateway of a folder: exit code, stdout, stderr.
pub(crate) async fn operator(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let command = Command::new(env!("CARGO_BIN_EXE_toolplane"))
        .args(arguments)
        .env_clear()
        .env("TOOLPLANE_DATA_DIR", folder)
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(PATIENCE, command).await.expect("it ends").expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("no signal ended it"), text(output.stdout), text(output.stderr))
}
