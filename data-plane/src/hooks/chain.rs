//! The hooks of a node in their order, and what it means that one does not answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::cache::Cache;
use super::complaints::Complaints;
use super::error::{Error, Failure, Refusal, brief};
use super::{Hook, OnFailure, Phase, Rules};
use crate::metrics::{HookCall, Metrics};

/// Every hook of a node, in the order in which they were configured.
#[derive(Debug)]
pub(crate) struct Chain {
    members: Vec<Member>,
    pub(super) cache: Cache,
    pub(super) max_keep: Duration,
}

/// One hook with its rules.
#[derive(Debug)]
pub(crate) struct Member {
    name: Arc<str>,
    pub(super) hook: Arc<dyn Hook>,
    rules: Rules,
    places: Semaphore,
    complaints: Complaints,
    metrics: Metrics,
}

/// What a hook is asked in one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) phase: Phase,
    /// When nobody waits for the answer of the call any more; absent where that does not matter.
    pub(super) deadline: Option<Instant>,
    /// The execution went on without an earlier answer of this hook, as the rules allow.
    pub(super) was_passed_over: bool,
}

/// How much of what callers may see is kept from one call to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The longest time, whatever a hook allows.
    pub max_age: Duration,
    /// How many tools are kept, in all views together.
    pub max_tools: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self { max_age: Duration::from_mins(1), max_tools: 200_000 }
    }
}

impl Chain {
    /// A chain; `None` where there is no hook, so that nobody has to look into an empty one.
    pub(crate) fn new(members: Vec<Member>, keep: Keep) -> Option<Arc<Self>> {
        let Keep { max_age, max_tools } = keep;
        (!members.is_empty())
            .then(|| Arc::new(Self { members, cache: Cache::new(max_tools), max_keep: max_age }))
    }

    /// Whether any hook takes part in a phase.
    pub(crate) fn takes_part(&self, phase: Phase) -> bool {
        self.members.iter().any(|member| member.hook.phases().contains(phase))
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The hooks that take part in a phase, with their places in the chain.
    pub(super) fn of(&self, phase: Phase) -> impl Iterator<Item = (usize, &Member)> {
        self.members.iter().enumerate().filter(move |(_, member)| member.hook.phases().contains(phase))
    }
}

impl Member {
    pub(crate) fn new(name: &str, hook: Arc<dyn Hook>, rules: Rules, metrics: Metrics) -> Self {
        let places = Semaphore::new(rules.max_in_flight.min(Semaphore::MAX_PERMITS));
        let complaints = Complaints::default();
        Self { name: name.into(), hook, rules, places, complaints, metrics }
    }

    /// Awaits an answer within the rules: `None` where the hook failed and may. The time that the call has is no
    /// business of the rules: otherwise a caller in a hurry could get past a hook that may fail.
    pub(super) async fn ask<T>(
        &self,
        question: Question,
        answer: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<Option<T>, Refusal> {
        let Question { phase, deadline, was_passed_over } = question;
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Refusal::OutOfTime);
        }
        let until = now + self.rules.deadline(phase);
        // Dropped without an outcome, it was given up by the caller.
        let asked = self.metrics.hook_call(&self.name, phase.word());
        let answer = match self.places.try_acquire() {
            Err(_) => Err(Failure::Overloaded.into()),
            Ok(_place) => match deadline.filter(|deadline| *deadline < until) {
                Some(deadline) => match timeout_at(deadline, answer).await {
                    Ok(answer) => answer,
                    Err(_) => return Err(self.out_of_time(phase, asked)),
                },
                None => timeout_at(until, answer).await.unwrap_or(Err(Failure::TimedOut.into())),
            },
        };
        match answer {
            Ok(answer) => {
                asked.ended("ok");
                Ok(Some(answer))
            }
            Err(Error::Denied(denial)) => {
                asked.ended("denied");
                Err(Refusal::Denied(denial))
            }
            // The execution went on without the hook, which may never have heard of the call: that it says so is no
            // reason to refuse what has been done already.
            Err(Error::Failed(Failure::UnknownCall | Failure::Restarted)) if was_passed_over => {
                asked.ended("passed_over");
                Ok(None)
            }
            Err(Error::Failed(failure)) => {
                asked.ended(failure.word());
                // It is the node that fails, and callers who make it fail must not get past a hook by that. Where no hook
                // is shown a result, only a hook itself says so, and that is a failure like any other.
                match failure {
                    Failure::NoRoom if phase.is_about_result() => Err(Refusal::NoRoom),
                    failure => self.failed(phase, &failure),
                }
            }
        }
    }

    /// What it means that the hook failed, once the log has it.
    fn failed<T>(&self, phase: Phase, failure: &Failure) -> Result<Option<T>, Refusal> {
        let goes_on = self.rules.on_failure(phase) == OnFailure::FailOpen;
        self.complain(phase, failure.word(), &failure.to_string(), !goes_on);
        if goes_on { Ok(None) } else { Err(Refusal::Failed(phase)) }
    }

    /// The call was over first: the hook took what was left of its time, and was not late by the rules.
    fn out_of_time(&self, phase: Phase, asked: HookCall) -> Refusal {
        const WORD: &str = "out_of_time";
        asked.ended(WORD);
        self.complain(phase, WORD, "the time for the call was over before it answered", true);
        Refusal::OutOfTime
    }

    fn complain(&self, phase: Phase, word: &'static str, words: &str, is_refused: bool) {
        let Some(unsaid) = self.complaints.may_say(phase, word) else { return };
        tracing::warn!(
            hook.name = %self.name,
            hook.phase = phase.word(),
            hook.failure = word,
            hook.unsaid = unsaid,
            call.refused = is_refused,
            "a hook failed: {}",
            brief(words)
        );
    }
}
