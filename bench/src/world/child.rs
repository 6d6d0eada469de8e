//! A process that is measured from outside: nobody reads what it says.
//!
//! Its output goes to `/dev/null`, so that what is measured includes making log lines but nobody's taking them. It
//! leads a process group of its own, and the group ends with it.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{self, Command};

use super::http;
use super::process::PATIENCE;
use super::usage::Usage;

/// Between two questions whether a process is ready.
const POLL: Duration = Duration::from_millis(20);

/// How a process is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// The whole environment.
    pub(crate) variables: Vec<(String, OsString)>,
}

/// A running process; ended with all its children when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: process::Child,
    id: u32,
}

impl Program {
    pub(crate) fn new(path: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(OsString::from).collect();
        Self { path: path.into(), arguments, variables: Vec::new() }
    }

    /// Adds a variable.
    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it.
    pub(crate) fn start(&self) -> anyhow::Result<Child> {
        self.spawn(Stdio::null(), Stdio::null())
    }

    /// Starts one that says on its first line where it can be reached.
    pub(crate) async fn start_and_listen(&self) -> anyhow::Result<(Child, String)> {
        let mut child = self.spawn(Stdio::piped(), Stdio::inherit())?;
        let output = child.process.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.context("it says nothing")??;
        Ok((child, line.context("it says nothing")?))
    }

    fn spawn(&self, output: Stdio, errors: Stdio) -> anyhow::Result<Child> {
        let Self { path, arguments, variables } = self;
        let mut command = Command::new(path);
        command.args(arguments).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0).kill_on_drop(true);
        let process = command.spawn().with_context(|| format!("{} does not run", path.display()))?;
        let id = process.id().context("it has an id while it runs")?;
        Ok(Child { process, id })
    }
}

impl Child {
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// What it and its children have used so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of_family(self.id)
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn until_ready(&mut self, what: &str, url: &str) -> anyhow::Result<()> {
        self.until_answers(what, url, "/readyz").await
    }

    /// Waits until a path is answered with 200.
    pub(crate) async fn until_answers(&mut self, what: &str, url: &str, path: &str) -> anyhow::Result<()> {
        let ready = async {
            while !http::is_fine(url, path).await {
                let ended = self.process.try_wait()?;
                ensure!(ended.is_none(), "{what} ended ({ended:?}); start it by hand to see why");
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        let waited = tokio::time::timeout(PATIENCE, ready).await;
        waited.with_context(|| format!("{what} does not become ready"))?
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let group = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        // It may have ended by itself.
        if let Some(Err(error)) = group.map(|group| kill_process_group(group, Signal::KILL))
            && error != Errno::SRCH
        {
            eprintln!("process group {} goes on: {error}", self.id);
        }
    }
}

/// A port that nobody uses. Somebody may before it is used here, which shows as a process that does not start.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
