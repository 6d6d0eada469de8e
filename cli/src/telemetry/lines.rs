//! The way of log lines to stderr.
//!
//! A node writes a line for every call, and a system call for each of them would cost more than making it. So those
//! lines may wait for a moment and leave together. Everything else is written at once, after what waits, so that lines
//! stand in the order in which things happened. What waits is written when the log ends, on whatever way out but that
//! of a process that is killed.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits at most.
const PATIENCE: Duration = Duration::from_millis(50);
/// From so many bytes on whoever adds a line writes them all.
const FULL: usize = 64 << 10;

/// The lines that wait. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write, or nothing more will come.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    is_over: bool,
}

/// Writes what waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Writing {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

/// Writes at once.
#[derive(Debug)]
pub(super) struct Direct<'a> {
    /// So that nothing comes in between.
    _waiting: MutexGuard<'a, Waiting>,
}

impl Lines {
    /// Adds a line that may wait.
    pub(super) fn add(&self, line: &[u8]) {
        let mut waiting = self.lock();
        let was_empty = waiting.text.is_empty();
        waiting.text.extend_from_slice(line);
        if waiting.is_over || waiting.text.len() >= FULL {
            waiting.write();
        } else if was_empty {
            self.0.changed.notify_one();
        }
    }

    /// Writes what waits, now and then, until the result is dropped.
    pub(super) fn write_behind(&self) -> io::Result<Writing> {
        let lines = self.clone();
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || lines.write_on())?;
        Ok(Writing { lines: self.clone(), thread: Some(thread) })
    }

    fn write_on(&self) {
        let mut waiting = self.lock();
        loop {
            let idle = |waiting: &mut Waiting| waiting.text.is_empty() && !waiting.is_over;
            waiting = self.0.changed.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
            if !waiting.is_over {
                let more = |waiting: &mut Waiting| !waiting.is_over;
                let waited = self.0.changed.wait_timeout_while(waiting, PATIENCE, more);
                waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            waiting.write();
            if waiting.is_over {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn write(&mut self) {
        if !self.text.is_empty() {
            // Nobody is left to tell that stderr is gone.
            drop(io::stderr().write_all(&self.text));
            self.text.clear();
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.lines.lock().is_over = true;
        self.lines.0.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Direct<'a>;

    fn make_writer(&'a self) -> Direct<'a> {
        let mut waiting = self.lock();
        waiting.write();
        Direct { _waiting: waiting }
    }
}

impl Write for Direct<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        io::stderr().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
