//! One process of the Python hooks.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::AsyncRead;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;

use super::output::{self, Lines};
use super::{LOG, Launch};

/// How long the process has for what it is doing when it is told to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// How long what is dead may take to be gone, and its last lines to be read.
const END_DEADLINE: Duration = Duration::from_secs(1);
/// How many lines a failure is told with.
const MAX_LINES: usize = 20;

/// A process that is ready. Dropping it kills it, and what it started.
#[derive(Debug)]
pub(super) struct Process {
    group: Group,
    child: Child,
    /// The process ends when this does, however this one ends.
    stdin: Option<ChildStdin>,
    ready: FirstLine,
    /// Pass its lines on.
    readers: JoinSet<()>,
}

/// A process and all that it and its children started, as far as they stayed together. Dropping it kills them.
#[derive(Debug)]
struct Group(Option<Pid>);

/// Why there is no process.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) why: String,
    /// The last lines that it wrote.
    pub(super) said: Vec<String>,
}

/// What it says when it is ready.
#[derive(Debug, Deserialize)]
pub(super) struct FirstLine {
    ready: bool,
    /// Which start of it this is.
    pub(super) instance: String,
    /// The phases that its hooks take part in.
    pub(super) phases: Vec<String>,
    /// Whether the factory of a token provider returned one.
    pub(super) token_provider: bool,
}

impl Process {
    /// Starts it and waits for its word that everything is loaded.
    pub(super) async fn start(launch: &Launch, deadline: Duration) -> Result<Self, Ended> {
        let Launch { interpreter, arguments, package, python_path } = launch;
        // What the operator names comes first, so that a module of theirs is never hidden by one of ours.
        let mut path: OsString = python_path.clone().unwrap_or_default();
        if !path.is_empty() {
            path.push(":");
        }
        path.push(package);
        let mut command = Command::new(interpreter);
        command
            .args(arguments)
            .env("PYTHONPATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for this process, which drains while the hooks are still there.
            .process_group(0)
            .kill_on_drop(true);
        let none = |why: String| Ended { why, said: Vec::new() };
        let mut child = command.spawn().map_err(|error| none(error.to_string()))?;
        let group = Group::of(&child);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(none("its output cannot be read".to_owned()));
        };
        let mut lines = Lines::new(stdout);
        let mut said = Lines::new(stderr);
        let mut heard = Vec::new();
        let first = tokio::time::timeout(deadline, first_line(&mut lines, &mut said, &mut heard)).await;
        let ready = first.ok().flatten().and_then(|line| serde_json::from_str::<FirstLine>(&line).ok());
        let Some(ready) = ready.filter(|line| line.ready) else {
            return Err(give_up(child, group, said, heard).await);
        };
        for line in &heard {
            output::pass_on(line);
        }
        let mut readers = JoinSet::new();
        readers.spawn(lines.pass_on());
        readers.spawn(said.pass_on());
        Ok(Self { group, child, stdin, ready, readers })
    }

    /// What it said of itself.
    pub(super) fn ready(&self) -> &FirstLine {
        &self.ready
    }

    /// Waits for its end; says how it ended.
    pub(super) async fn wait(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Ends it: by telling it so, and by force where it does not listen.
    pub(super) async fn stop(mut self) {
        drop(self.stdin.take());
        if tokio::time::timeout(STOP_DEADLINE, self.child.wait()).await.is_err() {
            tracing::warn!(target: LOG, "the process of the Python hooks did not end by itself");
        }
        self.kill().await;
    }

    /// Ends what is still there of it, and writes its last lines to the log.
    pub(super) async fn kill(self) {
        let Self { group, mut child, mut readers, .. } = self;
        drop(group);
        if tokio::time::timeout(END_DEADLINE, child.wait()).await.is_err() {
            tracing::warn!(target: LOG, "the process of the Python hooks cannot be ended");
        }
        let last_lines = async { while readers.join_next().await.is_some() {} };
        if tokio::time::timeout(END_DEADLINE, last_lines).await.is_err() {
            tracing::warn!(target: LOG, "a process that a Python hook started lives on, in a session of its own");
        }
    }
}

impl Group {
    /// Of a child that leads one.
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0
            && let Err(error) = kill_process_group(leader, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(target: LOG, %error, "the processes of the Python hooks cannot be ended");
        }
    }
}

/// The first line of its output; what it says meanwhile is kept.
async fn first_line(
    lines: &mut Lines<ChildStdout>,
    said: &mut Lines<impl AsyncRead + Unpin>,
    heard: &mut Vec<String>,
) -> Option<String> {
    let mut is_open = true;
    loop {
        tokio::select! {
            line = lines.next() => return line,
            line = said.next(), if is_open => match line {
                Some(line) => keep(heard, line),
                None => is_open = false,
            },
        }
    }
}

/// Ends a process that does not get ready; says what it said.
async fn give_up(
    mut child: Child,
    group: Group,
    mut said: Lines<impl AsyncRead + Unpin>,
    mut heard: Vec<String>,
) -> Ended {
    let status = tokio::time::timeout(END_DEADLINE, child.wait()).await;
    let why = match status {
        Ok(Ok(status)) => format!("it ended with {status}"),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it did not get ready in time".to_owned(),
    };
    drop(group);
    let rest = async {
        while let Some(line) = said.next().await {
            keep(&mut heard, line);
        }
    };
    if tokio::time::timeout(END_DEADLINE, rest).await.is_err() {
        tracing::debug!("the output of the Python hooks stays open");
    }
    Ended { why, said: heard }
}

fn keep(heard: &mut Vec<String>, line: String) {
    if line.trim().is_empty() {
        return;
    }
    if heard.len() == MAX_LINES {
        heard.remove(0);
    }
    heard.push(line);
}
