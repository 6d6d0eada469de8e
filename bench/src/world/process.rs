//! One process of the measured binary, read through its log and through `/proc`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::usage::Usage;

/// Longest wait for anything that is not measured.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// How a process is started.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) binary: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) data_dir: PathBuf,
    /// The key of a control plane, which several would share.
    pub(crate) secret_key_file: Option<PathBuf>,
}

/// What its log has said so far.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Where it can be reached.
    pub(crate) address: Option<String>,
    /// The newest version it said that it serves.
    pub(crate) served: u64,
    /// The last lines that are no plain news.
    complaints: Vec<String>,
    ended: bool,
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    said: watch::Receiver<Said>,
    /// Reads the log; ends with the process.
    _reader: JoinSet<()>,
}

impl Setup {
    pub(crate) fn spawn(&self) -> anyhow::Result<Process> {
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).env_clear().kill_on_drop(true);
        command.env("TOOLPLANE_DATA_DIR", &self.data_dir).env("TOOLPLANE_LOG_FORMAT", "json");
        command.env("GATEWAY_HOST", "127.0.0.1").env("GATEWAY_PORT", "0");
        if let Some(file) = &self.secret_key_file {
            command.env("TOOLPLANE_SECRET_KEY_FILE", file);
            // Opens registration; the benchmarks themselves show an admin's token.
            command.env("GATEWAY_REGISTRATION_TOKEN", "a-registration-token-of-benchmarks");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("the binary does not run")?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let (writer, said) = watch::channel(Said::default());
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                writer.send_modify(|said| said.hear(&line));
            }
            writer.send_modify(|said| said.ended = true);
        });
        Ok(Process { child, said, _reader: reader })
    }
}

impl Said {
    fn hear(&mut self, line: &str) {
        let record: Value = serde_json::from_str(line).unwrap_or_default();
        let message = record["message"].as_str().unwrap_or(line);
        if message == "serving a new snapshot" {
            self.served = number(&record["snapshot.version"]).unwrap_or(self.served);
        } else if message.starts_with("serving MCP at") {
            self.address = record["url"].as_str().map(str::to_owned);
        } else if message.starts_with("serving the admin API at") {
            self.address = record["address"].as_str().map(str::to_owned);
        }
        if !matches!(record["level"].as_str(), Some("INFO" | "DEBUG")) {
            self.complaints.push(line.to_owned());
        }
    }
}

/// `v7` is version 7.
fn number(version: &Value) -> Option<u64> {
    version.as_str()?.trim_start_matches('v').parse().ok()
}

impl Process {
    /// Waits until the log has said it.
    pub(crate) async fn until(&self, found: impl Fn(&Said) -> bool + Send + Sync) -> anyhow::Result<()> {
        let mut said = self.said.clone();
        let waited = tokio::time::timeout(PATIENCE, said.wait_for(|said| said.ended || found(said))).await;
        match waited {
            Ok(Ok(said)) if found(&said) => Ok(()),
            _ => bail!("a process did not say what was waited for; {:?}", self.said.borrow().complaints),
        }
    }

    /// Where it can be reached, once it says so.
    pub(crate) async fn address(&self) -> anyhow::Result<String> {
        self.until(|said| said.address.is_some()).await?;
        self.said.borrow().address.clone().context("it said so")
    }

    /// Ends it the hard way, and waits for its end.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id().context("the process has ended")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_addresses_and_versions() {
        let mut said = Said::default();
        said.hear(r#"{"level":"INFO","message":"serving MCP at x","url":"http://127.0.0.1:1/mcp"}"#);
        said.hear(r#"{"level":"INFO","message":"serving a new snapshot","snapshot.version":"v12"}"#);
        said.hear("no JSON at all");
        assert_eq!((said.address.as_deref(), said.served), (Some("http://127.0.0.1:1/mcp"), 12));
        assert_eq!(said.complaints, ["no JSON at all"]);
    }
}
