//! What code mode may take: settings with their checks, and the places for programs that run at one time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use toolplane_registry::{Rejection, Rule};
use toolplane_sandbox::Limits;
use toolplane_sandbox::program::MAX_SOURCE;

use super::Full;
use crate::caller::Caller;

/// The most that a result or an answer may be set to: written as JSON it must fit into a frame.
const MAX_BYTES: usize = 32 << 20;
/// The most workers that may stand ready.
const MAX_READY: usize = 64;

/// Settings of code mode.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds of one program.
    pub limits: Limits,
    /// How many programs run at one time, and how many of one caller.
    pub max_runs: usize,
    /// See above. Callers are told apart by their subject, else by their credentials.
    pub max_runs_per_caller: usize,
    /// How many workers stand ready.
    pub ready_workers: usize,
    /// How many programs a worker takes before it is replaced.
    pub runs_per_worker: u32,
    /// How many cores all workers share; 0: as many as there are.
    pub cores: usize,
    /// Whether programs are written to the log, at debug level.
    pub audit_verbatim: bool,
    /// The binary that is started as a worker; none: this one.
    pub worker_binary: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_runs: 32,
            max_runs_per_caller: 8,
            ready_workers: 2,
            runs_per_worker: 1,
            cores: 0,
            audit_verbatim: false,
            worker_binary: None,
        }
    }
}

impl Settings {
    /// Everything that makes no sense.
    pub(crate) fn check(&self) -> Vec<Rejection> {
        let Limits {
            duration,
            memory,
            allocations,
            recursion,
            calls,
            concurrent_calls,
            source,
            result,
            stdout: _,
            answer,
        } = self.limits;
        let mut rejections = Vec::new();
        let mut refuse = |subject: &str, reason: &str| {
            rejections.push(Rejection::new(format!("code mode: {subject}"), Rule::Setting, reason));
        };
        if duration.is_zero() {
            refuse("duration", "is zero");
        }
        for (name, number) in [
            ("memory", memory),
            ("allocations", allocations),
            ("recursion depth", recursion),
            ("nested calls", calls),
            ("nested calls at one time", concurrent_calls),
            ("source size", source),
            ("result size", result),
            ("size of an answer", answer),
            ("programs at one time", self.max_runs),
            ("programs of a caller at one time", self.max_runs_per_caller),
        ] {
            if number == 0 {
                refuse(name, "is zero");
            }
        }
        if result.max(answer) > MAX_BYTES {
            refuse("size of results and answers", "is more than a message to or from a worker holds");
        }
        if self.ready_workers > MAX_READY {
            refuse("workers that stand ready", "are more than make sense");
        }
        if source > MAX_SOURCE {
            refuse("source size", "is more than the parser is known to take");
        }
        rejections
    }

    /// As the sandbox takes them.
    pub(super) fn pool(&self) -> toolplane_sandbox::Options {
        toolplane_sandbox::Options {
            ready: self.ready_workers.min(self.max_runs),
            runs_per_worker: self.runs_per_worker,
            memory: self.limits.memory,
            duration: self.limits.duration,
            cores: self.cores,
            binary: self.worker_binary.clone(),
        }
    }
}

/// Who runs how many programs. Bounded: it holds callers that run one.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    max_per_caller: usize,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    all: usize,
    by_caller: HashMap<u64, usize>,
}

/// The place of one program, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    places: Arc<Places>,
    caller: u64,
}

impl Places {
    pub(super) fn new(settings: &Settings) -> Self {
        let Settings { max_runs, max_runs_per_caller, .. } = *settings;
        Self { max: max_runs, max_per_caller: max_runs_per_caller, running: Mutex::default() }
    }

    pub(super) fn take(places: &Arc<Self>, caller: &Caller) -> Result<Turn, Full> {
        let key = key(caller);
        let mut running = places.running.lock().unwrap_or_else(PoisonError::into_inner);
        let own = running.by_caller.get(&key).copied().unwrap_or_default();
        // One caller's fullness is said first: it is the one that the caller can do something about.
        if own >= places.max_per_caller {
            return Err(Full::Caller);
        }
        if running.all >= places.max {
            return Err(Full::Node);
        }
        running.all += 1;
        running.by_caller.insert(key, own + 1);
        Ok(Turn { places: Arc::clone(places), caller: key })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = self.places.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.all = running.all.saturating_sub(1);
        if let Entry::Occupied(mut own) = running.by_caller.entry(self.caller) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

/// What tells a caller from another. All of whom nothing is known are one.
fn key(caller: &Caller) -> u64 {
    let mut hasher = DefaultHasher::new();
    let credentials = caller.headers.get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    match caller.subject() {
        Some(subject) => ("subject", subject).hash(&mut hasher),
        None => ("credentials", credentials).hash(&mut hasher),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn caller(token: Option<&'static str>) -> Caller {
        let token = token.map(|token| (http::header::AUTHORIZATION, HeaderValue::from_static(token)));
        Caller::new(token.into_iter().collect::<HeaderMap>())
    }

    #[test]
    fn places_are_counted_for_the_node_and_for_each_caller() {
        let settings = Settings { max_runs: 3, max_runs_per_caller: 2, ..Settings::default() };
        let places = Arc::new(Places::new(&settings));
        let take = |token| Places::take(&places, &caller(token));
        let (first, _second) = (take(Some("a")).unwrap(), take(Some("a")).unwrap());
        assert_eq!(take(Some("a")).unwrap_err(), Full::Caller);
        let _third = take(None).unwrap();
        assert_eq!(take(Some("b")).unwrap_err(), Full::Node);
        drop(first);
        let _again = take(Some("a")).unwrap();
        assert_eq!(places.running.lock().unwrap().by_caller.len(), 2);
    }

    #[test]
    fn settings_are_checked() {
        assert!(Settings::default().check().is_empty());
        let wrong = Settings {
            limits: Limits { memory: 0, source: MAX_SOURCE + 1, ..Limits::default() },
            max_runs: 0,
            ..Settings::default()
        };
        assert_eq!(wrong.check().len(), 3);
    }
}
