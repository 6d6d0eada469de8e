//! One run as the host sees it: a conversation with a worker that may lie.
//!
//! | the worker says | taken when | then |
//! |---|---|---|
//! | `Taken` | first, and once | the program is never given to another worker |
//! | `Printed` | it does not wait, and has not printed more than it may | it is kept |
//! | `Call` | the tool was given to it, the number is new, the cap is not reached | the call begins, or waits its turn |
//! | `Wait` | it does not wait already | it is sent every call that is done, at the latest when one is |
//! | `Done` | after `Taken` | the run has ended |
//! | anything else, or too much | never | it is killed: `sandbox_crashed` |

mod ledger;

use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use self::ledger::Ledger;
use crate::accounting;
use crate::engine::at_limit;
use crate::frames::{self, Done, FromWorker, Run, ToWorker};
use crate::outcome::{Code, Failure, Limit, Outcome, StoppedBy, Value};
use crate::pool::process::Worker;
use crate::pool::{Calls, NestedCall};
use crate::program::{Limits, Program};

/// How long a worker has to end a program properly when its time is up.
const GRACE: Duration = Duration::from_millis(150);

/// No value nests deeper; a worker makes a text of what goes beyond a hundred.
const MAX_DEPTH: usize = 127;

/// No sentence or traceback of a worker is longer, in bytes.
const MAX_TOLD: usize = 32 * 1024;

/// The end of a conversation.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// Whether the worker was gone before it had begun the program, which may then be given to another.
    pub(super) is_untouched: bool,
    /// The worker, where it may take another program.
    pub(super) left: Option<Worker>,
}

/// Why a conversation ends before the worker is done.
enum Broken {
    /// The pipe, or a frame that is none.
    Frames(frames::Error),
    /// A message that makes no sense where it stands.
    Nonsense(&'static str),
    /// The host ends it.
    Limit(Limit),
}

/// A run under way.
pub(super) struct Conversation<'a> {
    program: &'a Program,
    worker: Worker,
    ledger: Ledger<'a>,
    is_worker_waiting: bool,
    /// What the program has printed so far, and in how many messages.
    printed: String,
    prints: usize,
    /// Whether there was more.
    is_cut: bool,
    /// Whether the worker has begun to run the program.
    is_taken: bool,
    stopped_by: StoppedBy,
    deadline: Instant,
    max_frame: usize,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(program: &'a Program, calls: &'a dyn Calls, worker: Worker) -> Self {
        Self {
            program,
            worker,
            ledger: Ledger::new(calls, &program.limits),
            is_worker_waiting: false,
            printed: String::new(),
            prints: 0,
            is_cut: false,
            is_taken: false,
            stopped_by: StoppedBy::Worker,
            deadline: Instant::now() + program.limits.duration,
            max_frame: frames::max_from_worker(&program.limits),
        }
    }

    /// Leads it to its end. A worker that may take another program comes back.
    pub(super) async fn run(mut self, start_time: Duration) -> Ended {
        let begun = Instant::now();
        let ended = self.lead().await;
        // A worker whose program failed may have had a part in it: it takes no other.
        let is_untouched = !self.is_taken && matches!(&ended, Err(Broken::Frames(frames::Error::Pipe(_))));
        let (done, is_sound) = match ended {
            Ok(done) => {
                let is_well = done.end.is_ok();
                if is_well {
                    if self.worker.runs_left <= 1 {
                        // It has said all that it is to say, and is not to go on while its calls are waited for.
                        self.worker.end();
                    }
                    self.finish_calls().await;
                }
                (done, is_well)
            }
            Err(broken) => (self.broken(broken).await, false),
        };
        let calls = self.ledger.into_calls();
        let Done { end, stdout, truncated, note } = done;
        let stdout = self.printed + &stdout;
        let run_time = begun.elapsed();
        let stopped_by = self.stopped_by;
        let outcome = Outcome { end, stopped_by, stdout, truncated, calls, note, start_time, run_time };
        self.worker.runs_left = self.worker.runs_left.saturating_sub(1);
        let left = (is_sound && self.worker.runs_left > 0).then_some(self.worker);
        Ended { outcome, is_untouched, left }
    }

    /// Sends the program and goes on until the worker is done.
    async fn lead(&mut self) -> Result<Done, Broken> {
        self.send_program().await?;
        loop {
            let kill_at = sleep_until(self.deadline + GRACE);
            let up_at = sleep_until(self.deadline);
            tokio::select! {
                biased;
                () = kill_at => return Err(Broken::Limit(Limit::Duration)),
                () = up_at, if self.is_worker_waiting => {
                    // What is still under way is given up; the program ends where it waits.
                    self.is_worker_waiting = false;
                    self.stopped_by = StoppedBy::Abort;
                    self.say(&ToWorker::Abort).await?;
                }
                true = self.ledger.advance(), if self.ledger.is_busy() => {}
                // Where much waits for its turn the pipe holds back what comes next.
                message = self.worker.incoming.next(&mut self.worker.output, self.max_frame), if !self.ledger.is_crowded() => {
                    let message = message.map_err(Broken::Frames)?;
                    if let Some(done) = self.heard(message)? {
                        return Ok(done);
                    }
                }
            }
            if self.is_worker_waiting && self.ledger.has_answers() {
                self.is_worker_waiting = false;
                let (answers, held) = self.ledger.next_answers();
                self.say(&ToWorker::Answers(answers)).await?;
                drop(held);
            }
        }
    }

    async fn send_program(&mut self) -> Result<(), Broken> {
        let Program { source, tools, limits } = self.program.clone();
        self.say(&ToWorker::Run(Box::new(Run { source, tools, limits }))).await
    }

    /// Sends one message; a worker that does not take it in time is ended.
    async fn say(&mut self, message: &ToWorker) -> Result<(), Broken> {
        let frame = frames::encode(message).map_err(Broken::Frames)?;
        let sending = frames::send(&mut self.worker.input, &frame);
        match tokio::time::timeout_at(self.deadline + GRACE, sending).await {
            Ok(sent) => sent.map_err(Broken::Frames),
            Err(_) => Err(Broken::Limit(Limit::Duration)),
        }
    }

    /// Takes one message, if it makes sense here.
    fn heard(&mut self, message: FromWorker) -> Result<Option<Done>, Broken> {
        if !self.is_taken && !matches!(message, FromWorker::Taken) {
            return Err(Broken::Nonsense("it speaks before it has taken the program"));
        }
        match message {
            FromWorker::Taken if self.is_taken => Err(Broken::Nonsense("it takes the program twice")),
            FromWorker::Taken => {
                self.is_taken = true;
                Ok(None)
            }
            FromWorker::Printed { .. } if self.is_worker_waiting => {
                Err(Broken::Nonsense("it prints while it waits"))
            }
            FromWorker::Printed { text, .. } if text.is_empty() => Err(Broken::Nonsense("it prints nothing")),
            FromWorker::Printed { text, truncated } => {
                self.printed.push_str(&text);
                self.is_cut |= truncated;
                self.prints = self.prints.saturating_add(1);
                let is_often = self.prints > frames::most_prints(&self.program.limits);
                if is_often || self.printed.len() > self.program.limits.stdout {
                    return Err(Broken::Nonsense("it prints more than it may"));
                }
                Ok(None)
            }
            FromWorker::Call { id, tool, arguments } => {
                self.called(id, tool, arguments)?;
                Ok(None)
            }
            FromWorker::Wait if self.is_worker_waiting => Err(Broken::Nonsense("it waits twice")),
            FromWorker::Wait if !self.ledger.has_answers() && !self.ledger.is_busy() => {
                Err(Broken::Nonsense("it waits for nothing"))
            }
            FromWorker::Wait => {
                self.is_worker_waiting = true;
                Ok(None)
            }
            FromWorker::Done(done) => {
                let Limits { result, stdout, .. } = self.program.limits;
                let is_within = is_within(&done, result, stdout.saturating_sub(self.printed.len()));
                if is_within {
                    Ok(Some(*done))
                } else {
                    Err(Broken::Nonsense("its result is larger than it may be"))
                }
            }
            FromWorker::Ready => Err(Broken::Nonsense("it greets twice")),
        }
    }

    fn called(&mut self, id: u32, tool: u32, arguments: Box<RawValue>) -> Result<(), Broken> {
        if self.is_worker_waiting {
            return Err(Broken::Nonsense("it calls while it waits"));
        }
        let given = usize::try_from(tool).ok().filter(|&tool| tool < self.program.tools.len());
        let Some(tool) = given else {
            return Err(Broken::Nonsense("it calls a tool that it was not given"));
        };
        if arguments.get().len() > frames::MAX_ARGUMENTS {
            return Err(Broken::Nonsense("its arguments are larger than they may be"));
        }
        if self.ledger.knows(id) {
            return Err(Broken::Nonsense("it uses a number twice"));
        }
        if !arguments.get().trim_start().starts_with('{') {
            return Err(Broken::Nonsense("its arguments are no object"));
        }
        if self.ledger.is_full() {
            return Err(Broken::Limit(Limit::NestedCalls));
        }
        self.ledger.take(id, NestedCall { tool, arguments });
        Ok(())
    }

    /// Calls that the program started and did not await take effect all the same; they may end, within its time.
    async fn finish_calls(&mut self) {
        let deadline = self.deadline;
        while let Ok(true) = tokio::time::timeout_at(deadline, self.ledger.advance()).await {}
    }

    /// The outcome of a run that the worker did not end.
    async fn broken(&mut self, broken: Broken) -> Done {
        let limits = &self.program.limits;
        let (stopped_by, failure) = match broken {
            Broken::Limit(limit @ Limit::Duration) => (StoppedBy::Kill, at_limit(limit, limits)),
            Broken::Limit(limit) => (StoppedBy::Check, at_limit(limit, limits)),
            Broken::Nonsense(what) => {
                tracing::warn!(what, "a code-mode worker said something that makes no sense and was killed");
                let failure = Failure::new(Code::SandboxCrashed, "the sandbox broke the rules and was ended");
                (StoppedBy::Check, failure)
            }
            Broken::Frames(error) => match self.worker.exit_code().await {
                Some(accounting::MEMORY_EXIT) => (StoppedBy::Ceiling, at_limit(Limit::Memory, limits)),
                Some(accounting::ALLOCATIONS_EXIT) => {
                    (StoppedBy::Ceiling, at_limit(Limit::Allocations, limits))
                }
                code => {
                    tracing::warn!(%error, ?code, "a code-mode worker ended in the middle of a run");
                    let is_gone = matches!(error, frames::Error::Pipe(_));
                    let stopped_by = if is_gone { StoppedBy::Crash } else { StoppedBy::Check };
                    (stopped_by, Failure::new(Code::SandboxCrashed, "the sandbox ended unexpectedly"))
                }
            },
        };
        self.stopped_by = stopped_by;
        Done { end: Err(failure), stdout: String::new(), truncated: self.is_cut, note: None }
    }
}

/// Whether the end of a program is no larger than a worker makes it.
fn is_within(done: &Done, max_result: usize, max_stdout: usize) -> bool {
    let Done { end, stdout, truncated: _, note } = done;
    let is_end_within = match end {
        Ok(Value { text, json }) => {
            // A text grows where JSON escapes it; everything else is measured as it is written.
            let growth = if json.get().starts_with('"') { frames::ESCAPED } else { 1 };
            let max_json = max_result.saturating_mul(growth).saturating_add(2);
            text.len() <= max_result && json.get().len() <= max_json && is_shallow(json.get())
        }
        Err(Failure { message, traceback, hint, .. }) => {
            let texts = [Some(message), traceback.as_ref(), hint.as_ref()];
            texts.into_iter().flatten().all(|text| text.len() <= MAX_TOLD)
        }
    };
    let is_note_within = note.as_ref().is_none_or(|note| note.len() <= MAX_TOLD);
    is_end_within && is_note_within && stdout.len() <= max_stdout.saturating_add(frames::MARKED)
}

/// Whether this JSON nests no deeper than a worker writes it; whoever reads it later may recurse.
fn is_shallow(json: &str) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    json.bytes().all(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => depth = depth.saturating_add(1),
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= MAX_DEPTH
    })
}
