//! The interpreter. Its types stay in this module: they change with every release.
//!
//! A run is two pieces of source fed to one session: a prelude with a function for each tool that the program mentions,
//! and the program itself, whose line numbers are therefore its own.
//! A function of the prelude starts its call at once and returns something to await. The host's answer is always a
//! value, and the prelude raises where it is a failure: an error that came from outside would pass by the `try` of a
//! program that gathers calls.

mod failure;
mod from_json;
mod os;
mod prelude;
mod printed;
mod to_json;

use std::collections::HashMap;

use monty::{MontyRepl, ReplFunctionCall, ReplProgress, ReplResolveFutures, ReplStartError};
use monty_types::{
    CompileOptions, ExcType, ExtFunctionResult, MontyException, MontyObject, NameLookupResult, PrintWriter,
    ResourceLimits, ResourceTracker,
};
use serde_json::value::RawValue;
use tokio::time::Instant;

pub(crate) use crate::engine::failure::at_limit;
use crate::engine::printed::Printed;
use crate::frames::{Answer, AnswerEnd, Done, Error, Run};
use crate::outcome::{Failure, Limit, Value};

/// What the engine needs of the host.
pub(crate) trait Link {
    /// Has a tool called, without waiting for it.
    fn call(&self, id: u32, tool: u32, arguments: Box<RawValue>) -> Result<(), Error>;
    /// Tells what was printed, and whether more was.
    fn printed(&self, text: String, truncated: bool) -> Result<(), Error>;
    /// Waits until at least one call is done.
    fn wait(&self) -> Result<Woken, Error>;
}

/// Why a wait ended.
pub(crate) enum Woken {
    /// These calls are done.
    Answers(Vec<Answer>),
    /// The run has had its time.
    TimeIsUp,
}

/// What is left of a program when it has ended: everything that it built.
pub(crate) struct Remains {
    _session: Option<MontyRepl>,
    _value: Option<MontyObject>,
}

/// How a program is going on.
type Progress = Result<ReplProgress, Box<ReplStartError>>;

/// Why a program ended before it was done.
enum Ended {
    /// By an exception, its own or ours.
    Raised(Box<ReplStartError>),
    /// The host is gone.
    Host,
}

/// One run.
struct Session<'a> {
    run: &'a Run,
    link: &'a dyn Link,
    printed: Printed<'a>,
    /// When its time is up.
    deadline: Instant,
    /// Calls that it has made.
    calls: usize,
    /// Answers that it has not asked for yet.
    answers: HashMap<u32, AnswerEnd>,
    /// Calls whose answers it has not had.
    open: usize,
    /// Messages of the failures that it was told of, to recognise them when they end it.
    failures: Vec<String>,
    /// Which limit of ours ended it.
    limit: Option<Limit>,
}

/// Runs a program to its end.
pub(crate) fn run(run: &Run, link: &dyn Link) -> (Done, Remains) {
    let mut session = Session {
        run,
        link,
        printed: Printed::new(run.limits.stdout, link),
        deadline: Instant::now() + run.limits.duration,
        calls: 0,
        answers: HashMap::new(),
        open: 0,
        failures: Vec::new(),
        limit: None,
    };
    let (end, remains) = session.run_to_the_end();
    let unawaited = if end.is_ok() { session.open } else { 0 };
    let note = (unawaited > 0).then(|| {
        format!("{unawaited} call(s) of tools were started and never awaited: write `await` before a call to have its result")
    });
    let (stdout, truncated) = session.printed.into_parts();
    (Done { end, stdout, truncated, note }, remains)
}

/// Runs something small, so that what every program needs is in memory before one arrives.
pub(crate) fn warm_up() {
    struct Nobody;
    impl Link for Nobody {
        fn call(&self, _: u32, _: u32, _: Box<RawValue>) -> Result<(), Error> {
            Ok(())
        }
        fn printed(&self, _: String, _: bool) -> Result<(), Error> {
            Ok(())
        }
        fn wait(&self) -> Result<Woken, Error> {
            let json = RawValue::from_string("[{\"a\":1.5,\"b\":\"c\"}]".to_owned())?;
            Ok(Woken::Answers(vec![Answer { id: 0, end: AnswerEnd::Given(json) }]))
        }
    }
    let tool = crate::program::Tool { identifier: "tool".to_owned(), parameters: vec!["q".to_owned()] };
    let run_of = Run {
        source: include_str!("engine/warm_up.py").to_owned(),
        tools: vec![tool],
        limits: crate::program::Limits::default(),
    };
    drop(run(&run_of, &Nobody));
}

impl Session<'_> {
    fn run_to_the_end(&mut self) -> (Result<Value, Failure>, Remains) {
        match self.execute() {
            Ok((repl, value)) => {
                let end = to_json::result(&value, self.run.limits.result);
                (end, Remains { _session: Some(repl), _value: Some(value) })
            }
            Err(Ended::Raised(raised)) => {
                let ReplStartError { repl, error } = *raised;
                let context =
                    failure::Context { limit: self.limit, limits: &self.run.limits, told: &self.failures };
                (Err(failure::describe(&error, &context)), Remains { _session: Some(repl), _value: None })
            }
            Err(Ended::Host) => {
                let gone = Failure::new(crate::outcome::Code::SandboxCrashed, "the gateway went away");
                (Err(gone), Remains { _session: None, _value: None })
            }
        }
    }

    fn execute(&mut self) -> Result<(MontyRepl, MontyObject), Ended> {
        let limits = &self.run.limits;
        let tracker = ResourceTracker::new(
            ResourceLimits::default()
                .max_duration(limits.duration)
                .max_memory(limits.memory)
                .max_recursion_depth(limits.recursion.saturating_add(1))
                .max_suspensions(usize::MAX),
        );
        let repl = MontyRepl::new(failure::SCRIPT, tracker, CompileOptions::default());
        let prelude = prelude::source(self.run.tools.iter().map(|tool| tool.identifier.as_str()));
        let progress = repl.feed_start(&prelude, Vec::new(), PrintWriter::Disabled);
        let (repl, _) = self.drive(progress)?;
        let source = self.run.source.as_str();
        let progress = repl.feed_start(source, Vec::new(), self.printed.writer());
        self.drive(progress)
    }

    /// Answers what the program asks until it has ended.
    fn drive(&mut self, mut progress: Progress) -> Result<(MontyRepl, MontyObject), Ended> {
        loop {
            let asked = progress.map_err(Ended::Raised)?;
            if Instant::now() >= self.deadline && !matches!(asked, ReplProgress::Complete { .. }) {
                progress = self.out_of_time(asked);
                continue;
            }
            progress = match asked {
                ReplProgress::Complete { repl, value } => return Ok((repl, value)),
                ReplProgress::FunctionCall(call) => self.function(call)?,
                ReplProgress::ResolveFutures(futures) => self.futures(futures)?,
                ReplProgress::NameLookup(lookup) => {
                    lookup.resume(NameLookupResult::Undefined, self.printed.writer())
                }
                ReplProgress::OsCall(call) => {
                    let answer = os::answer(&call.function_call);
                    call.resume(answer, self.printed.writer())
                }
            };
        }
    }

    /// A function that the interpreter does not know: the one of the prelude, or nobody's.
    fn function(&mut self, call: ReplFunctionCall) -> Result<Progress, Ended> {
        if call.function_name != prelude::CALL {
            let name = call.function_name.clone();
            return Ok(call.resume(ExtFunctionResult::NotFound(name), self.printed.writer()));
        }
        if self.calls >= self.run.limits.calls {
            self.limit = Some(Limit::NestedCalls);
            let message = format!("more than {} calls of tools", self.run.limits.calls);
            let exceeded = MontyException::new(ExcType::RuntimeError, Some(message));
            return Ok(call.abort(exceeded, self.printed.writer()));
        }
        match prelude::request(&call.args, &self.run.tools) {
            Ok(request) => {
                self.calls += 1;
                self.open += 1;
                self.printed.flush();
                self.link.call(call.call_id, request.tool, request.arguments).map_err(|_| Ended::Host)?;
                Ok(call.resume_pending(self.printed.writer()))
            }
            Err(mistake) => Ok(call.resume(ExtFunctionResult::Error(mistake), self.printed.writer())),
        }
    }

    /// Every part of the program waits.
    fn futures(&mut self, futures: ReplResolveFutures) -> Result<Progress, Ended> {
        loop {
            let wanted: Vec<u32> = futures.pending_call_ids().to_vec();
            let mut results = Vec::new();
            for id in wanted {
                if let Some(end) = self.answers.remove(&id) {
                    results.push((id, ExtFunctionResult::Return(self.handed_over(end))));
                }
            }
            if !results.is_empty() {
                self.open = self.open.saturating_sub(results.len());
                return Ok(futures.resume(results, self.printed.writer()));
            }
            self.printed.flush();
            match self.link.wait().map_err(|_| Ended::Host)? {
                Woken::Answers(answers) => {
                    self.answers.extend(answers.into_iter().map(|answer| (answer.id, answer.end)));
                }
                Woken::TimeIsUp => return Ok(self.out_of_time(ReplProgress::ResolveFutures(futures))),
            }
        }
    }

    /// What the prelude makes of an answer: whether it is a value, and the value or the message.
    fn handed_over(&mut self, end: AnswerEnd) -> MontyObject {
        let failed = |message: String| {
            MontyObject::Tuple(vec![MontyObject::Bool(false), MontyObject::String(message)])
        };
        let message = match end {
            AnswerEnd::Given(json) => match from_json::value(json.get()) {
                Ok(value) => return MontyObject::Tuple(vec![MontyObject::Bool(true), value]),
                Err(error) => {
                    format!("upstream_error: the answer is no JSON that a program can hold: {error}")
                }
            },
            AnswerEnd::Failed { code, message } => format!("{code}: {message}"),
        };
        self.failures.push(message.clone());
        failed(message)
    }

    /// Ends the program where it stands.
    fn out_of_time(&mut self, asked: ReplProgress) -> Progress {
        self.limit = Some(Limit::Duration);
        let exceeded = MontyException::new(ExcType::TimeoutError, Some("time is up".to_owned()));
        let print = self.printed.writer();
        match asked {
            ReplProgress::FunctionCall(call) => call.abort(exceeded, print),
            ReplProgress::OsCall(call) => call.abort(exceeded, print),
            ReplProgress::NameLookup(lookup) => lookup.abort(exceeded, print),
            ReplProgress::ResolveFutures(futures) => futures.abort(exceeded, print),
            done @ ReplProgress::Complete { .. } => Ok(done),
        }
    }
}
