//! Processes of workers: started and buried by a thread of its own each.
//!
//! A worker is told to die with its parent, and to the kernel the parent is the thread that started it. A thread of the
//! runtime may end while the gateway lives; the one here lives as long as the pool.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::oneshot;

use crate::frames::{self, FromWorker, Incoming};
use crate::pool::Options;
use crate::worker::{ARGUMENT, Start};

/// How long a worker may take to lock itself down.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a killed worker may take to be gone.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// The largest frame of a worker that has not been given a program.
const MAX_GREETING: usize = 64;

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the process could not be started: {0}")]
    Start(#[from] io::Error),
    #[error("the worker did not get ready: {0}")]
    Greeting(#[from] frames::Error),
    #[error("the worker did not get ready in {} s", START_TIMEOUT.as_secs())]
    TooSlow,
    #[error("the worker did not begin with a greeting")]
    Nonsense,
    #[error("the pool is shutting down")]
    Closed,
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

/// The process; whoever drops it ends it.
#[derive(Debug)]
struct Process {
    child: Option<Child>,
    undertaker: Sender<Dead>,
}

/// A process that has been killed, and who wants to know what it ended with.
type Dead = (Child, Option<oneshot::Sender<Option<i32>>>);

/// Whoever wants a process. Until it is taken it is ended like any other.
type Order = oneshot::Sender<io::Result<Process>>;

/// Starts workers.
#[derive(Debug)]
pub(super) struct Spawner {
    orders: Sender<Order>,
    runs_per_worker: u32,
}

// ── Spawner ──

impl Spawner {
    pub(super) fn new(options: &Options) -> io::Result<Self> {
        let (orders, taken) = channel::<Order>();
        let (undertaker, dead) = channel::<Dead>();
        let runs_per_worker = options.runs_per_worker.max(1);
        let seconds = options.duration.as_secs().saturating_add(2).saturating_mul(u64::from(runs_per_worker));
        let start = Start {
            parent: std::process::id(),
            memory: u64::try_from(options.memory).unwrap_or(u64::MAX),
            cpu_seconds: seconds,
            cores: u64::try_from(options.cores).unwrap_or_default(),
            runs: u64::from(runs_per_worker),
        };
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            // The very file that runs, also where an upgrade has put another in its place.
            None if cfg!(target_os = "linux") => PathBuf::from("/proc/self/exe"),
            None => std::env::current_exe()?,
        };
        thread::Builder::new()
            .name("code-mode-starter".to_owned())
            .spawn(move || serve(&taken, &binary, start, &undertaker))?;
        thread::Builder::new().name("code-mode-reaper".to_owned()).spawn(move || bury(&dead))?;
        Ok(Self { orders, runs_per_worker })
    }

    /// Starts one and waits for its greeting. What it needs is copied, so the future does not hold the pool.
    pub(super) fn start(&self) -> impl Future<Output = Result<Worker, Error>> + Send + use<> {
        let (order, started) = oneshot::channel();
        let is_ordered = self.orders.send(order).is_ok();
        let runs_left = self.runs_per_worker;
        async move {
            if !is_ordered {
                return Err(Error::Closed);
            }
            let mut process = started.await.map_err(|_| Error::Closed)??;
            let (Some(input), Some(output)) = process.pipes() else { return Err(Error::Nonsense) };
            let (input, output) = (ChildStdin::from_std(input)?, ChildStdout::from_std(output)?);
            let mut worker = Worker { input, output, incoming: Incoming::default(), runs_left, process };
            match tokio::time::timeout(START_TIMEOUT, worker.incoming.next(&mut worker.output, MAX_GREETING))
                .await
            {
                Ok(Ok(FromWorker::Ready)) => Ok(worker),
                Ok(Ok(_)) => Err(Error::Nonsense),
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Err(Error::TooSlow),
            }
        }
    }
}

/// Starts a process for every order until the pool is gone.
fn serve(orders: &Receiver<Order>, binary: &Path, start: Start, undertaker: &Sender<Dead>) {
    while let Ok(order) = orders.recv() {
        let child = Command::new(binary)
            .arg0("toolplane-code-mode")
            .arg(ARGUMENT)
            .args(start.arguments())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // What ends the gateway's group is not for its workers.
            .process_group(0)
            .spawn();
        let process = child.map(|child| Process { child: Some(child), undertaker: undertaker.clone() });
        // One that nobody waits for any more is ended where it is dropped.
        drop(order.send(process));
    }
}

/// Waits for processes that have been killed.
fn bury(dead: &Receiver<Dead>) {
    while let Ok((mut child, asked)) = dead.recv() {
        // An error means that it is buried already.
        let code = child.wait().ok().and_then(|status| status.code());
        if let Some(asked) = asked {
            // Whoever asked may have given up.
            asked.send(code).unwrap_or_default();
        }
    }
}

// ── Worker ──

impl Worker {
    pub(super) fn id(&self) -> u32 {
        self.process.child.as_ref().map_or(0, Child::id)
    }

    /// Whether it could take a program.
    pub(super) fn is_alive(&mut self) -> bool {
        self.process.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
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
    fn pipes(&mut self) -> (Option<std::process::ChildStdin>, Option<std::process::ChildStdout>) {
        let Some(child) = &mut self.child else { return (None, None) };
        (child.stdin.take(), child.stdout.take())
    }

    fn end(&mut self, asked: Option<oneshot::Sender<Option<i32>>>) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself, and the undertaker may be gone with the pool; then the kernel buries it.
            drop(child.kill());
            drop(self.undertaker.send((child, asked)));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(None);
    }
}
