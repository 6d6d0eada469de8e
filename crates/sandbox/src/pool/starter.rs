//! Starts workers, on a thread of its own.
//!
//! A worker is told to die with its parent, and to the kernel the parent is the thread that started it. A thread of the
//! runtime may end while the gateway lives; the one here lives as long as the pool.
//! Where the platform can, workers are copies of a [template](super::template); elsewhere each is the binary anew.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use std::os::unix::process::CommandExt as _;

use tokio::sync::oneshot;

use super::process::{Error, Process, START_TIMEOUT, Started, Undertaker, Worker};
#[cfg(target_os = "linux")]
use super::template::Template;
use crate::pool::Options;
use crate::worker::{self, Start};

/// Whoever wants a process. Until it is taken it is ended like any other.
type Order = oneshot::Sender<Result<Started, Error>>;

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Starter {
    orders: Sender<Order>,
    runs_per_worker: u32,
}

/// What is started, and what it is told.
#[derive(Debug)]
pub(super) struct Binary {
    path: PathBuf,
    start: Start,
}

/// What the thread works with.
struct Bench {
    binary: Binary,
    undertaker: Undertaker,
    #[cfg(target_os = "linux")]
    copies: bool,
    #[cfg(target_os = "linux")]
    template: Option<Template>,
}

// ── Starter ──

impl Starter {
    pub(super) fn new(options: &Options) -> io::Result<Self> {
        let (orders, taken) = channel::<Order>();
        let mut bench = Bench::new(options)?;
        thread::Builder::new().name("code-mode-starter".to_owned()).spawn(move || bench.serve(&taken))?;
        Ok(Self { orders, runs_per_worker: options.runs_per_worker.max(1) })
    }

    /// Starts one and waits for its greeting. What it needs is copied, so the future does not hold the pool.
    pub(super) fn start(&self) -> impl Future<Output = Result<Worker, Error>> + Send + use<> {
        let (order, started) = oneshot::channel();
        let is_ordered = self.orders.send(order).is_ok();
        let runs = self.runs_per_worker;
        async move {
            if !is_ordered {
                return Err(Error::Closed);
            }
            let started = tokio::time::timeout(START_TIMEOUT, started).await.map_err(|_| Error::TooSlow)?;
            let started = started.map_err(|_| Error::Closed)??;
            Worker::greeted(started, runs).await
        }
    }
}

// ── Bench ──

impl Bench {
    fn new(options: &Options) -> io::Result<Self> {
        Ok(Self {
            binary: Binary::new(options)?,
            undertaker: Undertaker::start()?,
            #[cfg(target_os = "linux")]
            copies: options.copies,
            #[cfg(target_os = "linux")]
            template: None,
        })
    }

    /// Starts a process for every order until the pool is gone.
    fn serve(&mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            // Whoever gave up meanwhile costs nothing more; one that nobody waits for is ended where it is dropped.
            if !order.is_closed() {
                drop(order.send(self.one()));
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn one(&mut self) -> Result<Started, Error> {
        Ok(self.anew()?)
    }

    #[cfg(target_os = "linux")]
    fn one(&mut self) -> Result<Started, Error> {
        if !self.copies {
            return Ok(self.anew()?);
        }
        // The template may have been ended by somebody; a new one is tried once. One that failed is never asked again: its
        // answer may still be on the way, and would be taken for that to another order.
        if let Some(template) = self.template.take()
            && let Ok(started) = template.copy()
        {
            self.template = Some(template);
            return Ok(started);
        }
        let template = Template::start(&self.binary, &self.undertaker)?;
        match template.copy() {
            Ok(started) => {
                self.template = Some(template);
                Ok(started)
            }
            Err(error) => {
                let refusal = template.exit_code().and_then(worker::refusal);
                Err(refusal.map_or(error.into(), Error::Refused))
            }
        }
    }

    /// The binary, started anew as a worker.
    fn anew(&self) -> io::Result<Started> {
        let mut command = self.binary.command(worker::ARGUMENT);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let process = Process::of(&child, &self.undertaker)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Started { process, input: input.into(), output: output.into() })
    }
}

// ── Binary ──

impl Binary {
    fn new(options: &Options) -> io::Result<Self> {
        let runs = options.runs_per_worker.max(1);
        let seconds = options.duration.as_secs().saturating_add(2).saturating_mul(u64::from(runs));
        let start = Start {
            parent: std::process::id(),
            memory: u64::try_from(options.memory).unwrap_or(u64::MAX),
            cpu_seconds: seconds,
            cores: u64::try_from(options.cores).unwrap_or_default(),
            runs: u64::from(runs),
        };
        let path = match &options.binary {
            Some(binary) => binary.clone(),
            // The very file that runs, also where an upgrade has put another in its place.
            None if cfg!(target_os = "linux") => PathBuf::from("/proc/self/exe"),
            None => std::env::current_exe()?,
        };
        Ok(Self { path, start })
    }

    /// The start of a process with nothing of the gateway's, told what it is by its first argument.
    pub(super) fn command(&self, argument: &str) -> Command {
        let mut command = Command::new(&self.path);
        command
            .arg0(worker::NAME)
            .arg(argument)
            .args(self.start.arguments())
            .env_clear()
            .current_dir("/")
            .stderr(Stdio::null())
            // What ends the gateway's group is not for its workers.
            .process_group(0);
        command
    }
}
