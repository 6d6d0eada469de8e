//! What all hosts of a simulation share: the time, the trace, the ledger, and what was found wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use toolplane_control_plane::clock::Clock;
use toolplane_control_plane::store::Millis;

use crate::ledger::Ledger;
use crate::trace::Trace;

/// Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct World(Arc<Mutex<State>>);

/// What there is to know.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Simulated milliseconds since the start.
    pub(crate) now: u64,
    /// What was published and served.
    pub(crate) ledger: Ledger,
    trace: Trace,
    wrong: Vec<String>,
}

impl World {
    /// Looks at it, or changes it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of day of every host.
    pub(crate) fn clock(&self) -> Clock {
        let world = self.clone();
        Clock::new(move || Millis::try_from(1_000_000 + world.lock().now).expect("a time"))
    }

    /// Notes an event at a host.
    pub(crate) fn note(&self, place: &str, what: impl Into<String>) {
        self.lock().note(place, what);
    }

    /// Notes what an invariant has to say. Hosts must not panic: their tasks would swallow it.
    pub(crate) fn check(&self, outcome: Result<(), String>) {
        if let Err(wrong) = outcome {
            self.lock().wrong.push(wrong);
        }
    }
}

impl State {
    /// Notes an event at a host.
    pub(crate) fn note(&mut self, place: &str, what: impl Into<String>) {
        self.trace.note(self.now, place, what.into());
    }

    /// What happened.
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What was found wrong, and never taken back.
    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong
    }
}
