//! What clients did, and what the registry may hold after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What a domain may be: not there, or there with a description.
pub(crate) type State = Option<String>;

/// How a change ended for the client that asked for it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was said to be done.
    Confirmed,
    /// Nobody said whether it is done, or that it could not be done for now.
    InDoubt(String),
    /// It was refused for a reason that no client gave.
    Refused(String),
}

/// What clients did, when all is done.
#[derive(Debug, Default, Clone)]
pub(crate) struct History {
    /// What every domain that was ever written may be; one state where nothing is in doubt.
    pub(crate) domains: BTreeMap<String, BTreeSet<State>>,
    pub(crate) confirmed: usize,
    /// Why a change was in doubt, one line each.
    pub(crate) in_doubt: Vec<String>,
    /// What no fault excuses.
    pub(crate) failures: Vec<String>,
    /// Calls of meta-tools that were answered, by node.
    pub(crate) reads: BTreeMap<usize, usize>,
}

impl History {
    /// Notes a domain that somebody else registered, without a description.
    pub(crate) fn assume(&mut self, domain: &str) {
        self.domains.insert(domain.to_owned(), BTreeSet::from([Some(String::new())]));
    }
}

/// Where clients write it down.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    history: Mutex<History>,
    confirmed: watch::Sender<usize>,
}

impl Ledger {
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change is about to be asked for.
    pub(crate) fn asks(&self, domain: &str, after: &State) {
        let mut history = self.history();
        let possible = history.domains.entry(domain.to_owned()).or_insert_with(|| BTreeSet::from([None]));
        possible.insert(after.clone());
    }

    /// The change was answered; whether the domain's state is known now.
    pub(crate) fn answered(&self, domain: &str, after: &State, outcome: Outcome) -> bool {
        let mut history = self.history();
        match outcome {
            Outcome::Confirmed => {
                history.domains.insert(domain.to_owned(), BTreeSet::from([after.clone()]));
                history.confirmed += 1;
                self.confirmed.send_replace(history.confirmed);
                true
            }
            Outcome::InDoubt(reason) => {
                history.in_doubt.push(format!("{domain}: {reason}"));
                false
            }
            Outcome::Refused(reason) => {
                history.failures.push(format!("{domain}: {reason}"));
                false
            }
        }
    }

    pub(crate) fn read(&self, node: usize) {
        *self.history().reads.entry(node).or_default() += 1;
    }

    pub(crate) fn failed(&self, what: String) {
        self.history().failures.push(what);
    }

    pub(crate) fn confirmations(&self) -> watch::Receiver<usize> {
        self.confirmed.subscribe()
    }

    pub(crate) fn so_far(&self) -> History {
        self.history().clone()
    }
}
