//! What happens when a hook fails, and how long and how often it may be asked at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Hook, Phase, Service};

/// What happens to a call when a hook fails: it does not answer, answers late, or answers what makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The call is refused.
    #[default]
    FailClosed,
    /// The call goes on as if the hook were not there.
    FailOpen,
}

/// The rules for one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// What a failure means, where it is not the usual: every phase fails closed, and [`Phase::ReportError`] changes
    /// nothing in any case.
    pub on_failure: BTreeMap<Phase, OnFailure>,
    /// How long an answer may take.
    pub deadline: Duration,
    /// The same for single phases.
    pub deadlines: BTreeMap<Phase, Duration>,
    /// How many answers may be awaited at once; what is beyond fails at once.
    pub max_in_flight: usize,
}

/// A hook of a node, in the order of the chain.
#[derive(Debug, Clone)]
pub struct Configured {
    /// Names it in logs and metrics.
    pub name: String,
    /// Where it runs.
    pub place: Place,
    /// Its rules.
    pub rules: Rules,
}

/// Where a hook runs.
#[derive(Debug, Clone)]
pub enum Place {
    /// In this process: for programs that embed a node.
    InProcess(Arc<dyn Hook>),
    /// A service that is reached over gRPC.
    Service(Service),
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            on_failure: BTreeMap::new(),
            deadline: Duration::from_secs(5),
            deadlines: BTreeMap::new(),
            max_in_flight: 256,
        }
    }
}

impl Rules {
    /// What a failure of this phase means.
    pub fn on_failure(&self, phase: Phase) -> OnFailure {
        match phase {
            // It observes what has happened already.
            Phase::ReportError => OnFailure::FailOpen,
            _ => self.on_failure.get(&phase).copied().unwrap_or_default(),
        }
    }

    /// How long an answer to this phase may take.
    pub fn deadline(&self, phase: Phase) -> Duration {
        self.deadlines.get(&phase).copied().unwrap_or(self.deadline)
    }
}
