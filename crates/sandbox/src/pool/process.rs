//! Processes of workers: what is held of one, its end, and who waits for it.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin as StdChildStdin, ChildStdout as StdChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, waitid, waitpid};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::oneshot;

use crate::frames::{self, FromWorker, Incoming};
use crate::worker;

/// How long a worker may take to lock itself down.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a killed worker may take to be gone.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// How soon it is looked again whether a killed process is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The largest frame of a worker that has not been given a program.
const MAX_GREETING: usize = 64;

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the process could not be started: {0}")]
    Start(#[from] io::Error),
    #[error("the worker did not get ready: {0}")]
    Greeting(#[from] frames::Error),
    #[error("the worker could not be locked down: {0}")]
    Refused(&'static str),
    #[error("the worker did not get ready in {} s", START_TIMEOUT.as_secs())]
    TooSlow,
    #[error("the worker did not begin with a greeting")]
    Nonsense,
    #[error("the pool is shutting down")]
    Closed,
}

/// A process that has just been started, with the host's ends of its pipes.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
}

/// A worker that waits for a program, or runs one. Killed when it is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) incoming: Incoming,
    /// Programs that it may still take.
    pub(super) runs_left: u32,
    process: Process,
}

/// A child of this process; whoever drops it ends it. Its id is its own until the undertaker has waited for it.
#[derive(Debug)]
pub(super) struct Process {
    id: Option<Pid>,
    undertaker: Undertaker,
}

/// Waits for processes that have been killed, on a thread of its own; it ends with the last handle.
#[derive(Debug, Clone)]
pub(super) struct Undertaker(Sender<Dead>);

/// A process that has been killed, and who wants to know what it ended with.
#[derive(Debug)]
struct Dead {
    id: Pid,
    asked: Option<oneshot::Sender<Option<i32>>>,
}

// ── Worker ──

impl Worker {
    /// Waits for the greeting of a process.
    pub(super) async fn greeted(started: Started, runs: u32) -> Result<Self, Error> {
        let Started { process, input, output } = started;
        let input = ChildStdin::from_std(StdChildStdin::from(input))?;
        let output = ChildStdout::from_std(StdChildStdout::from(output))?;
        let mut worker = Self { input, output, incoming: Incoming::default(), runs_left: runs, process };
        let greeting = worker.incoming.next(&mut worker.output, MAX_GREETING);
        match tokio::time::timeout(START_TIMEOUT, greeting).await {
            Ok(Ok(FromWorker::Ready)) => Ok(worker),
            Ok(Ok(_)) => Err(Error::Nonsense),
            Ok(Err(error)) => {
                Err(worker.exit_code().await.and_then(worker::refusal).map_or(error.into(), Error::Refused))
            }
            Err(_) => Err(Error::TooSlow),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id.map_or(0, |id| id.as_raw_nonzero().get().unsigned_abs())
    }

    /// Whether it could take a program.
    pub(super) fn is_alive(&self) -> bool {
        let looks = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.process.id.is_some_and(|id| matches!(waitid(WaitId::Pid(id), looks), Ok(None)))
    }

    /// Ends the process.
    pub(super) fn end(&mut self) {
        self.process.end(None);
    }

    /// Ends the process; what it ended with, if it had ended by itself before.
    pub(super) async fn exit_code(&mut self) -> Option<i32> {
        let (asked, code) = oneshot::channel();
        self.process.end(Some(asked));
        // A process that is stuck in the kernel must not hold up the run that it belonged to.
        tokio::time::timeout(END_TIMEOUT, code).await.ok()?.ok().flatten()
    }
}

// ── Process ──

impl Process {
    pub(super) fn new(id: Pid, undertaker: &Undertaker) -> Self {
        Self { id: Some(id), undertaker: undertaker.clone() }
    }

    pub(super) fn of(child: &Child, undertaker: &Undertaker) -> io::Result<Self> {
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        id.map(|id| Self::new(id, undertaker)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// What it ended with, if it ends by itself within a moment. Blocks, so it is nothing for a runtime.
    #[cfg(target_os = "linux")]
    pub(super) fn exit_code_now(&mut self) -> Option<i32> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use rustix::process::{PidfdFlags, pidfd_open};

        let id = self.id?;
        let its_end = pidfd_open(id, PidfdFlags::empty()).ok()?;
        let until = Timespec::try_from(END_TIMEOUT).ok()?;
        poll(&mut [PollFd::new(&its_end, PollFlags::IN)], Some(&until)).ok()?;
        let (_, status) = waitpid(Some(id), WaitOptions::NOHANG).ok()??;
        self.id = None;
        status.exit_status()
    }

    pub(super) fn end(&mut self, asked: Option<oneshot::Sender<Option<i32>>>) {
        if let Some(id) = self.id.take() {
            // It may have ended by itself.
            kill_process(id, Signal::KILL).unwrap_or_default();
            // The undertaker is there for as long as a process is.
            drop(self.undertaker.0.send(Dead { id, asked }));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(None);
    }
}

// ── Undertaker ──

impl Undertaker {
    pub(super) fn start() -> io::Result<Self> {
        let (undertaker, dead) = channel();
        thread::Builder::new().name("code-mode-reaper".to_owned()).spawn(move || bury(&dead))?;
        Ok(Self(undertaker))
    }
}

/// Waits for each; one that is stuck in the kernel holds up none of the others.
fn bury(dead: &Receiver<Dead>) {
    let mut waiting: Vec<Dead> = Vec::new();
    loop {
        let next = if waiting.is_empty() {
            dead.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            dead.recv_timeout(LOOK_AGAIN)
        };
        match next {
            Ok(next) => waiting.push(next),
            Err(RecvTimeoutError::Timeout) => {}
            // They are killed, and theirs is the kernel's to do; this process may be ending, too.
            Err(RecvTimeoutError::Disconnected) => return,
        }
        waiting.retain_mut(|Dead { id, asked }| match waitpid(Some(*id), WaitOptions::NOHANG) {
            Ok(None) => true,
            // An error means that it is buried already.
            ended => {
                let code = ended.ok().flatten().and_then(|(_, status)| status.exit_status());
                if let Some(asked) = asked.take() {
                    // Whoever asked may have given up.
                    asked.send(code).unwrap_or_default();
                }
                false
            }
        });
    }
}
