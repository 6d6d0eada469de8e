//! Processes of workers, found in `/proc` and watched.

use std::fs::{self, File};

use anyhow::Context as _;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::net::unix::pipe::Receiver;

use crate::call::subject::Subject;
use crate::world::usage;

/// What a worker is called in the list of processes.
const NAME: &str = "toolplane-code-mode";

/// The workers of a node, those that stand ready and those that run something.
pub(super) fn all(node: &Subject) -> anyhow::Result<Vec<u32>> {
    let mut children = usage::children()?;
    let of_node =
        node.processes.iter().flat_map(|process| children.remove(&process.id()).unwrap_or_default());
    // One that has ended has no command any more.
    let is_worker =
        |id: &u32| fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|command| is_named(&command));
    Ok(of_node.filter(is_worker).collect())
}

fn is_named(command: &[u8]) -> bool {
    command.starts_with(NAME.as_bytes())
}

/// Memory of a process that is of no file, in KiB; none of one that has ended.
pub(super) fn own_kibibytes(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    own.and_then(|own| own.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// A process whose end can be awaited.
///
/// A descriptor of a process becomes readable at its end, as a pipe does; nothing else is asked of it.
#[derive(Debug)]
pub(super) struct Watched(Receiver);

impl Watched {
    pub(super) fn new(id: u32) -> anyhow::Result<Self> {
        let id = i32::try_from(id).ok().and_then(Pid::from_raw).context("no id of a process")?;
        let descriptor = pidfd_open(id, PidfdFlags::NONBLOCK).context("the worker ended before its time")?;
        Ok(Self(Receiver::from_file_unchecked(File::from(descriptor))?))
    }

    /// Waits until the process has ended, whether or not its parent has taken notice.
    pub(super) async fn ended(&self) -> anyhow::Result<()> {
        Ok(self.0.readable().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_process_is_seen() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let watched = Watched::new(child.id()).unwrap();
        assert!(own_kibibytes(child.id()) > 0);
        child.kill().unwrap();
        watched.ended().await.unwrap();
        child.wait().unwrap();
        assert!(own_kibibytes(child.id()) == 0 && Watched::new(child.id()).is_err());
    }
}
