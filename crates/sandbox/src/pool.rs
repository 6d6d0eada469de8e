//! Workers made ready ahead of need, and the runs that use them.
//!
//! Starting a worker takes milliseconds and running a small program takes parts of one, so workers stand ready.
//! A worker takes one program and is killed; with [`Options::runs_per_worker`] above one it takes several, one after
//! another, each with a session and a count of its own.
//! The place of a used worker is filled after the run, not during it: the program has the processor first.

mod conversation;
mod process;
mod starter;
#[cfg(target_os = "linux")]
mod template;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::accounting;
use crate::engine::at_limit;
use crate::outcome::{Code, Effect, Failure, Limit, Outcome};
use crate::pool::conversation::{Conversation, Ended};
use crate::pool::process::Worker;
use crate::pool::starter::Starter;
use crate::program::{MAX_SOURCE, Program};
use crate::worker;

/// How workers are kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many stand ready.
    pub ready: usize,
    /// How many programs one takes before it is replaced.
    pub runs_per_worker: u32,
    /// The largest memory limit that any program will have.
    pub memory: usize,
    /// The longest duration that any program will have.
    pub duration: Duration,
    /// How many cores all workers share; 0: as many as there are.
    pub cores: usize,
    /// The binary whose `main` calls [`worker::run_if_asked`]; none: this one.
    pub binary: Option<PathBuf>,
    /// Whether workers are copies of one that was made ready, where the platform can; otherwise each is started anew.
    pub copies: bool,
}

/// Workers, and the way to run programs on them. Cheap to clone; the workers end with the last clone.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Inner>);

/// A call that a program makes.
#[derive(Debug)]
pub struct NestedCall {
    /// The place of the tool in [`Program::tools`].
    pub tool: usize,
    /// A JSON object.
    pub arguments: Box<RawValue>,
}

/// Why a call failed, as the program is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFailure {
    /// A word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Whether the tool did something all the same; the program is not told, but whoever wrote it is.
    pub effect: Effect,
}

/// What a call was answered, with whatever is to be held for as long as the answer is.
pub struct Given {
    /// The value.
    pub json: Box<RawValue>,
    /// Dropped when the program has it, or never will.
    pub held: Option<Arc<dyn Send + Sync>>,
}

/// How a call ends: with JSON, or a failure that the program can catch.
pub type Answered = Result<Given, ToolFailure>;

/// Answers the calls of programs.
pub trait Calls: Send + Sync {
    /// Makes one call. Dropped when the run ends before it.
    fn call(&self, call: NestedCall) -> Pin<Box<dyn Future<Output = Answered> + Send + '_>>;
}

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotReady(process::Error);

struct Inner {
    options: Options,
    starter: Starter,
    idle: Mutex<Vec<Worker>>,
    refills: TaskTracker,
    /// Whether somebody fills the places.
    is_filling: AtomicBool,
}

/// The most bytes that the process of a program with these limits counts before it is ended.
pub fn most_memory(limits: &crate::Limits) -> usize {
    limits.memory.saturating_add(accounting::ABOVE_MEMORY)
}

// ── Given ──

impl From<Box<RawValue>> for Given {
    fn from(json: Box<RawValue>) -> Self {
        Self { json, held: None }
    }
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("json", &self.json).finish_non_exhaustive()
    }
}

// ── Options ──

impl Default for Options {
    fn default() -> Self {
        let limits = crate::Limits::default();
        Self {
            ready: 2,
            runs_per_worker: 1,
            memory: limits.memory,
            duration: limits.duration,
            cores: 0,
            binary: None,
            copies: true,
        }
    }
}

// ── Pool ──

impl Pool {
    /// A pool that begins to make workers ready; must be called within a runtime.
    ///
    /// # Errors
    ///
    /// When no thread can be started for it.
    pub fn new(options: Options) -> std::io::Result<Self> {
        if !worker::IS_COMPLETE {
            tracing::warn!(
                "code mode runs without a filter of system calls and without limits of the kernel on this platform: use it \
                 for trusted callers only"
            );
        }
        let starter = Starter::new(&options)?;
        let pool = Self(Arc::new(Inner {
            options,
            starter,
            idle: Mutex::default(),
            refills: TaskTracker::new(),
            is_filling: AtomicBool::new(false),
        }));
        pool.refill();
        Ok(pool)
    }

    /// Waits until a worker has been made ready, with all its locks.
    ///
    /// # Errors
    ///
    /// What a worker could not do: on this machine no program can be run.
    pub async fn check(&self) -> Result<(), NotReady> {
        let worker = self.take().await.map_err(NotReady)?;
        let mut idle = self.0.idle();
        if idle.len() < self.0.options.ready {
            idle.push(worker);
        }
        Ok(())
    }

    /// How many workers stand ready at this moment.
    pub fn ready(&self) -> usize {
        self.0.idle().len()
    }

    /// The ids of the processes that stand ready.
    pub fn process_ids(&self) -> Vec<u32> {
        self.0.idle().iter().map(Worker::id).collect()
    }

    /// Runs a program to its end. Dropping the future ends the program and its calls at once.
    pub async fn run(&self, program: &Program, calls: &dyn Calls) -> Outcome {
        let asked = Instant::now();
        let max = program.limits.source.min(MAX_SOURCE);
        if program.source.len() > max {
            let limits = crate::Limits { source: max, ..program.limits };
            return Outcome::without_a_run(at_limit(Limit::Source, &limits), asked.elapsed());
        }
        // A worker may die between the look at it and the program; as many as there are at most.
        let mut more = self.0.options.ready;
        loop {
            let worker = match self.take().await {
                Ok(worker) => worker,
                Err(error) => {
                    tracing::warn!(%error, "no worker for code mode could be started");
                    let failure = Failure::new(Code::SandboxUnavailable, "no sandbox could be started");
                    return Outcome::without_a_run(failure, asked.elapsed());
                }
            };
            let _refilled = RefillOnDrop(self);
            let ended = Conversation::new(program, calls, worker).run(asked.elapsed()).await;
            let Ended { outcome, is_untouched, left } = ended;
            if let Some(worker) = left {
                self.0.idle().push(worker);
            }
            if !is_untouched || more == 0 {
                return outcome;
            }
            more -= 1;
        }
    }

    /// One that stands ready and lives, or a new one.
    async fn take(&self) -> Result<Worker, process::Error> {
        loop {
            let ready = self.0.idle().pop();
            match ready {
                Some(worker) => {
                    // It may have died while it stood ready.
                    if worker.is_alive() {
                        return Ok(worker);
                    }
                }
                None => return self.0.starter.start().await,
            }
        }
    }

    /// Makes workers ready until there are as many as there should be.
    fn refill(&self) {
        // One at a time: runs that end together want no more than the places that there are.
        if self.0.is_filling.swap(true, Ordering::AcqRel) {
            return;
        }
        let pool = Arc::downgrade(&self.0);
        self.0.refills.spawn(async move {
            let filled = fill(&pool).await;
            // What goes wrong while the pool goes away is its end and no news.
            if let Err(error) = filled
                && pool.strong_count() > 0
            {
                tracing::warn!(%error, "a worker for code mode could not be made ready; the next run starts its own");
            }
        });
    }
}

/// Fills the pool's places, one after another; stops when the pool is gone.
async fn fill(pool: &Weak<Inner>) -> Result<(), process::Error> {
    loop {
        let Some(inner) = pool.upgrade() else { return Ok(()) };
        if inner.idle().len() >= inner.options.ready {
            inner.is_filling.store(false, Ordering::Release);
            // A place that came free meanwhile is seen here, or by whoever frees it.
            if inner.idle().len() >= inner.options.ready || inner.is_filling.swap(true, Ordering::AcqRel) {
                return Ok(());
            }
        }
        let starting = inner.starter.start();
        drop(inner);
        let started = starting.await;
        if started.is_err()
            && let Some(inner) = pool.upgrade()
        {
            inner.is_filling.store(false, Ordering::Release);
        }
        let worker = started?;
        let Some(inner) = pool.upgrade() else { return Ok(()) };
        let mut idle = inner.idle();
        if idle.len() < inner.options.ready {
            idle.push(worker);
        }
    }
}

/// The place is filled however the run ends, a dropped one included.
struct RefillOnDrop<'a>(&'a Pool);

impl Drop for RefillOnDrop<'_> {
    fn drop(&mut self) {
        self.0.refill();
    }
}

// ── Inner ──

impl Inner {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("options", &self.options)
            .field("ready", &self.idle().len())
            .finish_non_exhaustive()
    }
}
