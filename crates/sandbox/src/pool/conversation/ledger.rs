//! The calls of one run: their order, which are under way, and what they were answered.
//!
//! Owns their numbers and states. It does not know the worker: who may call when is the conversation's.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::frames::{Answer, AnswerEnd};
use crate::outcome::{Call, Effect, Status};
use crate::pool::{Answered, Calls, Given, NestedCall, ToolFailure};
use crate::program::Limits;

/// How much of a failure's message a program is told, in bytes.
const MAX_MESSAGE: usize = 16 * 1024;

/// How many answers of the largest size are held for a program that does not fetch them.
const HELD_ANSWERS: usize = 4;

/// The arguments that wait for their turn may have so many bytes before no more of the worker's messages is read.
const MAX_WAITING: usize = 4 * 1024 * 1024;

/// What is to be held for as long as an answer is.
type Held = Option<Arc<dyn Send + Sync>>;

/// A call under way, with its number.
type Running<'a> = Pin<Box<dyn Future<Output = (u32, Answered)> + Send + 'a>>;

/// A call as the host keeps it.
struct Kept {
    call: Call,
    begun: Instant,
}

pub(super) struct Ledger<'a> {
    calls: &'a dyn Calls,
    limits: &'a Limits,
    /// Every call that was taken, in order.
    kept: Vec<Kept>,
    /// The place of each call by the worker's number for it.
    places: HashMap<u32, usize>,
    running: FuturesUnordered<Running<'a>>,
    /// Calls that wait for their turn, and the bytes of their arguments.
    waiting: VecDeque<(u32, NestedCall)>,
    waiting_bytes: usize,
    /// Answers that are ready to be sent, and what is held for each.
    answers: Vec<(Answer, Held)>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(calls: &'a dyn Calls, limits: &'a Limits) -> Self {
        Self {
            calls,
            limits,
            kept: Vec::new(),
            places: HashMap::new(),
            running: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            answers: Vec::new(),
        }
    }

    /// Whether there has been a call of this number.
    pub(super) fn knows(&self, id: u32) -> bool {
        self.places.contains_key(&id)
    }

    /// Whether there may be no more calls.
    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= self.limits.calls
    }

    /// Whether the calls that wait for their turn are as large as they may be together.
    pub(super) fn is_crowded(&self) -> bool {
        self.waiting_bytes > MAX_WAITING
    }

    /// Whether calls are under way.
    pub(super) fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// Whether answers are ready to be sent.
    pub(super) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Takes a call, and begins it where its turn has come.
    pub(super) fn take(&mut self, id: u32, call: NestedCall) {
        self.places.insert(id, self.kept.len());
        let noted = Call { tool: call.tool, status: Status::NotStarted, duration: Duration::ZERO };
        self.kept.push(Kept { call: noted, begun: Instant::now() });
        self.waiting_bytes = self.waiting_bytes.saturating_add(call.arguments.get().len());
        self.waiting.push_back((id, call));
        self.begin_calls();
    }

    /// Waits for the next call that ends, and notes it; false where none is under way.
    ///
    /// Cancel safe: a call that has not ended stays under way.
    pub(super) async fn advance(&mut self) -> bool {
        let Some((id, answered)) = self.running.next().await else { return false };
        self.answered(id, answered);
        true
    }

    /// What became of all of them, at the end of the run.
    pub(super) fn into_calls(self) -> Vec<Call> {
        let elapsed = |kept: Kept| match kept.call.status {
            Status::Abandoned => Call { duration: kept.begun.elapsed(), ..kept.call },
            _ => kept.call,
        };
        self.kept.into_iter().map(elapsed).collect()
    }

    /// Begins as many of the waiting calls as may run at one time.
    fn begin_calls(&mut self) {
        while self.running.len() < self.limits.concurrent_calls.max(1) {
            let Some((id, call)) = self.waiting.pop_front() else { return };
            self.waiting_bytes = self.waiting_bytes.saturating_sub(call.arguments.get().len());
            if let Some(kept) = self.places.get(&id).and_then(|&place| self.kept.get_mut(place)) {
                kept.call.status = Status::Abandoned;
                kept.begun = Instant::now();
            }
            let calls = self.calls;
            self.running.push(Box::pin(async move { (id, calls.call(call).await) }));
        }
    }

    /// As many answers as one message takes, and what to hold until it is sent; a worker that wants more waits again.
    pub(super) fn next_answers(&mut self) -> (Vec<Answer>, Vec<Held>) {
        let mut room = self.limits.answer;
        let fitting = self.answers.iter().take_while(|(answer, _)| {
            let fits = room > 0;
            room = room.saturating_sub(answer.size());
            fits
        });
        let fitting = fitting.count();
        self.answers.drain(..fitting).unzip()
    }

    fn answered(&mut self, id: u32, answered: Answered) {
        self.begin_calls();
        let Some(kept) = self.places.get(&id).and_then(|&place| self.kept.get_mut(place)) else { return };
        let max = self.limits.answer;
        let answered = answered.and_then(|given| {
            let too_large = || ToolFailure {
                code: "result_too_large".to_owned(),
                message: format!("the answer is larger than {max} bytes"),
                effect: Effect::Done,
            };
            // What the program does not fetch is held here.
            let held = self.answers.iter().map(|(answer, _)| answer.size()).sum::<usize>();
            let is_too_large = given.json.get().len() > max || held > max.saturating_mul(HELD_ANSWERS);
            if is_too_large { Err(too_large()) } else { Ok(given) }
        });
        kept.call.duration = kept.begun.elapsed();
        let (end, held) = match answered {
            Ok(Given { json, held }) => {
                kept.call.status = Status::Done;
                (AnswerEnd::Given(json), held)
            }
            Err(ToolFailure { code, mut message, effect }) => {
                message.truncate(message.floor_char_boundary(MAX_MESSAGE));
                kept.call.status = Status::Failed { code: code.clone(), effect };
                (AnswerEnd::Failed { code, message }, None)
            }
        };
        self.answers.push((Answer { id, end }, held));
    }
}
