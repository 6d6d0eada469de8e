//! The start of a worker, its locks and its conversation.
//!
//! The binary of the gateway is started anew with [`ARGUMENT`] as its first argument and is a worker, or, where the
//! platform can, with [`TEMPLATE`] and is what workers are copies of. `main` must call [`run_if_asked`] before it does
//! anything else, so that no setting is read, no thread started and no file opened.
//!
//! Two threads: the interpreter's, with a stack that no source within the limits can exhaust, and the first one, which
//! watches the clock of a run.

mod link;
mod lockdown;
#[cfg(target_os = "linux")]
mod template;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use tokio::time::Instant;

use crate::accounting;
use crate::engine;
use crate::frames::{Error, FromWorker, Run, ToWorker};
use crate::worker::link::Pipes;
use crate::worker::lockdown::Refused;
pub(crate) use crate::worker::lockdown::{IS_COMPLETE, refusal};
#[cfg(target_os = "linux")]
pub(crate) use crate::worker::template::ANSWER;

/// The first argument of a worker; no operator has a reason to type it.
pub const ARGUMENT: &str = "--code-mode-worker";

/// The first argument of a process that workers are copied from.
pub(crate) const TEMPLATE: &str = "--code-mode-template";

/// What workers are called in the list of processes.
pub(crate) const NAME: &str = "toolplane-code-mode";

/// Virtual; what a program does not use is never touched.
const STACK: usize = 256 * 1024 * 1024;

/// Bytes of address space besides the memory of a run: the stack, the binary, the allocator's reserves.
const ADDRESS_SPACE: u64 = 2 * 1024 * 1024 * 1024;

/// What the host tells a worker when it starts it, as decimal arguments in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// The process that must be its parent.
    pub(crate) parent: u32,
    /// The largest memory limit of any run.
    pub(crate) memory: u64,
    /// Seconds of processor time in all.
    pub(crate) cpu_seconds: u64,
    /// How many cores all workers share; 0: as many as there are.
    pub(crate) cores: u64,
    /// How many runs it is to take.
    pub(crate) runs: u64,
}

// ── Start ──

impl Start {
    pub(crate) fn arguments(self) -> [String; 5] {
        let Self { parent, memory, cpu_seconds, cores, runs } = self;
        [u64::from(parent), memory, cpu_seconds, cores, runs].map(|number| number.to_string())
    }

    fn parse(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let numbers: Option<Vec<u64>> = arguments.map(|argument| argument.to_str()?.parse().ok()).collect();
        let [parent, memory, cpu_seconds, cores, runs] = numbers?.try_into().ok()?;
        Some(Self { parent: u32::try_from(parent).ok()?, memory, cpu_seconds, cores, runs })
    }
}

/// Runs as a worker if that is what this process was started for; otherwise returns nothing, having done nothing.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments.next()?;
    let is_template = asked.as_os_str() == TEMPLATE;
    if !is_template && asked.as_os_str() != ARGUMENT {
        return None;
    }
    accounting::turn_on();
    let ended = match Start::parse(arguments) {
        Some(start) if is_template => run_as_template(&start),
        Some(start) => lockdown::of_any(&start).and_then(|()| run(&start)),
        None => Err(Refused::Arguments),
    };
    Some(ended.err().map_or(ExitCode::SUCCESS, |refused| ExitCode::from(refused.exit_code())))
}

/// Locks this process down as a worker and tries what a worker must not be able to do, for tests: each attempt by name,
/// and whether it was refused. The filter's own refusal is told apart from any other.
#[cfg(all(feature = "fuzzing", target_os = "linux"))]
pub fn attempts(parent: u32) -> Option<Vec<(&'static str, bool)>> {
    let start = Start { parent, memory: 1 << 28, cpu_seconds: 10, cores: 0, runs: 1 };
    let locked = lockdown::of_any(&start).and_then(|()| lockdown::of_a_worker(&start));
    locked.and_then(|()| lockdown::all_threads()).ok().map(|()| lockdown::attempts(parent))
}

/// Makes copies of itself; returns when there are to be no more, and in a copy when that has done its work.
#[cfg(target_os = "linux")]
fn run_as_template(start: &Start) -> Result<(), Refused> {
    lockdown::of_any(start)?;
    engine::warm_up();
    if template::serve() { run(start) } else { Ok(()) }
}

#[cfg(not(target_os = "linux"))]
fn run_as_template(_: &Start) -> Result<(), Refused> {
    Err(Refused::Arguments)
}

/// From a worker's own locks to its last run.
fn run(start: &Start) -> Result<(), Refused> {
    lockdown::of_a_worker(start)?;
    let (begun, clock) = channel();
    let (warm, is_warm) = channel();
    let runs = start.runs;
    let interpreter = thread::Builder::new().stack_size(STACK).spawn(move || {
        // In a copy, too: what a program needs is written to here, so that it need not be copied then.
        engine::warm_up();
        // The filter covers this thread too, and must be there before a stranger's program is.
        let (locked, is_locked) = channel();
        if warm.send(locked).is_err() || is_locked.recv().is_err() {
            return;
        }
        // The host ends a conversation by closing the pipe, so an error at the end is no news to anybody.
        drop(converse(&Pipes::new(), &begun, runs));
    });
    let interpreter = interpreter.map_err(|_| Refused::Thread)?;
    let locked = is_warm.recv().map_err(|_| Refused::Thread)?;
    lockdown::all_threads()?;
    locked.send(()).map_err(|_| Refused::Thread)?;
    watch(&clock);
    interpreter.join().map_err(|_| Refused::Thread)
}

/// What the interpreter's thread tells the first one.
enum Clock {
    /// A run has begun and ends at the latest then.
    Begun(Instant),
    /// It has ended. Whoever waits for the answer has no more to fear of this clock.
    Ended(Sender<()>),
}

/// Ends programs whose time is up, until the interpreter's thread is gone.
fn watch(clock: &Receiver<Clock>) {
    let mut deadline: Option<Instant> = None;
    loop {
        let news = match deadline {
            None => clock.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => clock.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        deadline = match news {
            Ok(Clock::Begun(at)) => Some(at),
            Ok(Clock::Ended(heard)) => {
                // Nobody waits where no other run follows.
                heard.send(()).unwrap_or_default();
                None
            }
            Err(RecvTimeoutError::Timeout) => {
                accounting::time_is_up();
                None
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
    }
}

/// Takes as many programs as it was started for, one after another.
fn converse(pipes: &Pipes, clock: &Sender<Clock>, runs: u64) -> Result<(), Error> {
    pipes.write(&FromWorker::Ready)?;
    for _ in 0..runs {
        let run: Box<Run> = loop {
            match pipes.read()? {
                ToWorker::Run(run) => break run,
                // Answers to calls of the run before, which were on their way when it ended.
                ToWorker::Answers(_) | ToWorker::Abort => {}
            }
        };
        pipes.write(&FromWorker::Taken)?;
        accounting::begin(run.limits.memory, run.limits.allocations);
        // A clock that nobody listens to is one that nobody needs: the process is ending.
        drop(clock.send(Clock::Begun(Instant::now() + run.limits.duration)));
        let (done, left) = engine::run(&run, pipes);
        let (heard, is_heard) = channel();
        drop(clock.send(Clock::Ended(heard)));
        if runs > 1 {
            // A clock that runs out at this moment would end the next run: it must have stopped before that begins.
            is_heard.recv().unwrap_or_default();
        }
        accounting::end();
        pipes.write(&FromWorker::Done(Box::new(done)))?;
        if runs == 1 {
            // Taking apart what a program built can take as long as building it; the process is about to end anyway.
            std::mem::forget(left);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_says_is_what_the_worker_reads() {
        let start = Start { parent: 1, memory: 2, cpu_seconds: 3, cores: 4, runs: 5 };
        assert_eq!(Start::parse(start.arguments().into_iter().map(OsString::from)), Some(start));
        assert_eq!(Start::parse(["1", "2"].into_iter().map(OsString::from)), None);
        assert_eq!(Start::parse(["1", "2", "x", "4", "5"].into_iter().map(OsString::from)), None);
    }
}
