//! `execute_tool`: find the tool, ask the hooks, check the arguments, call its upstream, guard what comes back, answer.
//!
//! Everything up to the call is decided on one snapshot and without any traffic but that of hooks. What the upstream
//! sent is passed on as it came: its texts inside the envelope, everything else beside it.

pub(crate) mod call;
mod envelope;
mod plain;
mod question;

use std::time::Duration;

use tokio::time::Instant;
use toolplane_registry::view::Entry;
use toolplane_registry::{RawJson, arguments, signature};
use toolplane_sandbox::Effect;
use toolplane_upstream::client::{Answer, ToolCall, ToolResult};
use toolplane_upstream::limits::{self, Limited, State};

use self::call::{is_harmless, target};
use self::envelope::{envelope, split};
use self::question::Asked;
use super::arguments::Execute;
use super::error::{Error, UPSTREAM_ERROR};
use super::get_tool_schema::{find, look};
use super::reply::{Outcome, Reply};
use super::request_state::Problem;
use super::text::to_text;
use super::{Dialog, Extras, direct, told};
use crate::caller::Caller;
use crate::hooks::Reported;
use crate::hooks::error::Refusal;
use crate::hooks::execution::{Course, Task};
use crate::live::Served;
use crate::metrics::Metrics;
use crate::options::ErrorResults;
use crate::output_guard::Guard;

const NEEDS_STATELESS: &str =
    "the tool asks for further input, which only reaches clients that speak MCP 2026-07-28";

/// What an execution works with, whoever asks for it.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) client: Limited,
    pub(crate) guard: Guard,
    pub(crate) error_results: ErrorResults,
    pub(crate) metrics: Metrics,
    pub(crate) request_state_ttl: Duration,
}

/// How far a call came.
#[derive(Debug)]
pub(crate) enum Run<'a> {
    /// The tool ran.
    Ran(Ran<'a>),
    /// The tool has questions to the caller.
    Asks(Outcome),
}

/// A tool that ran. The caller has not got its text yet: hooks are to see that first.
#[derive(Debug)]
pub(crate) struct Ran<'a> {
    pub(crate) result: ToolResult,
    pub(crate) ending: Ending<'a>,
}

/// What is left to do for a tool that ran.
#[derive(Debug)]
pub(crate) struct Ending<'a> {
    entry: &'a Entry,
    course: Course<'a>,
}

impl Ending<'_> {
    /// Shows the hooks the text that is to go out; gives back what they make of it.
    pub(crate) async fn after(&mut self, text: String, is_error: bool) -> Result<String, Error> {
        let shown = self.course.after(text, is_error).await;
        shown.map_err(|refusal| about(self.entry, refusal).after_run(is_error))
    }
}

impl Executor {
    /// Runs one tool for a caller. A failure that the tool itself reports is an ordinary reply.
    pub(crate) async fn execute(
        &self,
        served: &Served,
        caller: &Caller,
        call: Execute,
        extras: Extras,
    ) -> Result<Outcome, Error> {
        let view = look(caller, served, &call.tool_name).await?;
        let entry = find(&view, &call.tool_name)?;
        match self.run(served, caller, entry, call.arguments, extras).await? {
            Run::Ran(ran) => self.answer(ran).await.map(Into::into),
            Run::Asks(outcome) => Ok(outcome),
        }
    }

    /// The same with the result as the upstream sent it, for callers that know nothing of the envelope.
    pub(crate) async fn execute_directly(
        &self,
        served: &Served,
        caller: &Caller,
        call: Execute,
        extras: Extras,
    ) -> Result<Outcome, Error> {
        let view = look(caller, served, &call.tool_name).await?;
        let entry = find(&view, &call.tool_name)?;
        match self.run(served, caller, entry, call.arguments, extras).await? {
            Run::Ran(ran) => Ok(direct::reply(ran.result).into()),
            Run::Asks(outcome) => Ok(outcome),
        }
    }

    /// Runs a tool that the caller sees, up to the point where its result is known and transformed.
    pub(crate) async fn run<'a>(
        &self,
        served: &Served,
        caller: &'a Caller,
        entry: &'a Entry,
        given: Option<RawJson>,
        extras: Extras,
    ) -> Result<Run<'a>, Error> {
        told::domain(entry.domain().domain());
        let state = served.state(entry.domain().domain()).ok_or_else(|| lost(entry))?;
        // Hooks that are asked before take of the time that a call of this upstream has.
        let deadline = caller.deadline().min(Instant::now() + state.settings().timeout);
        let task = Task { tool: entry, deadline, room: extras.room.clone() };
        let course = Course::begin(caller.visit(), task, given.clone()).await;
        let mut course = course.map_err(|refusal| about(entry, refusal))?;
        check_arguments(entry, course.arguments())?;
        let asked = Asked { served, caller, entry, arguments: given.as_ref() };
        let can_be_asked = extras.dialog.is_some();
        let call = tool_call(asked, course.arguments(), extras)?;
        match self.call(asked, state, &course, &call).await? {
            Answer::Complete(result) => {
                let is_error = result.is_error;
                let result = course.transform(result).await;
                let result = result.map_err(|refusal| about(entry, refusal).after_run(is_error))?;
                Ok(Run::Ran(Ran { result, ending: Ending { entry, course } }))
            }
            Answer::InputRequired(_) if !can_be_asked => Err(asks(entry, NEEDS_STATELESS)),
            Answer::InputRequired(questions) => {
                asked.outcome(questions, self.request_state_ttl).map(Run::Asks)
            }
        }
    }

    async fn call(
        &self,
        asked: Asked<'_>,
        state: &State,
        course: &Course<'_>,
        call: &ToolCall,
    ) -> Result<Answer, Error> {
        let Asked { served, caller, entry, .. } = asked;
        let deadline = course.deadline().map_err(|refusal| about(entry, refusal))?;
        let target = target(served, caller, entry, course.extra_headers());
        let calling = self.metrics.upstream_call(entry.domain().domain());
        let answer =
            self.client.call_tool(state, &target, call, deadline, || is_harmless(entry.tool())).await;
        calling.ended(answer.as_ref().map(Answer::is_failure));
        match answer {
            Ok(answer) => Ok(answer),
            Err(failure) => {
                let error = failed(entry, &failure);
                let is_from_upstream =
                    matches!(failure, limits::Error::Call(toolplane_upstream::Error::Rpc { .. }));
                let words = error.to_string();
                course.report(Reported { error: &words, code: error.code(), is_from_upstream }).await;
                Err(error)
            }
        }
    }

    async fn answer(&self, ran: Ran<'_>) -> Result<Reply, Error> {
        let Ran { result, mut ending } = ran;
        let ToolResult { content, structured_content, is_error, meta, extra } = result;
        let (text, others) = split(content);
        let text = if is_error {
            to_text(&Error::Upstream { tool: ending.entry.name().to_owned(), text }.body())
        } else {
            envelope(&self.guard, ending.entry, text)?
        };
        let text = ending.after(text, is_error).await?;
        let mut reply = if is_error {
            Reply::failure(UPSTREAM_ERROR, text, self.error_results)
        } else {
            Reply::text(text)
        };
        reply.content = others;
        reply.structured = structured_content;
        reply.meta = meta;
        reply.extra = extra.into_iter().collect();
        Ok(reply)
    }
}

/// What is sent to the upstream.
fn tool_call(asked: Asked<'_>, arguments: Option<&RawJson>, extras: Extras) -> Result<ToolCall, Error> {
    let Extras { meta, dialog, listener, log_level, room } = extras;
    let Dialog { capabilities, input_responses, request_state } = dialog.unwrap_or_default();
    let request_state = match (&request_state, &input_responses) {
        (Some(sealed), _) => asked.reopened(sealed)?,
        (None, Some(_)) => return Err(Error::RequestState(Problem::Missing)),
        (None, None) => None,
    };
    let tool = asked.entry.tool();
    Ok(ToolCall {
        name: tool.original_name.to_string(),
        arguments: arguments.cloned(),
        meta,
        input_schema: Some(tool.input_schema.clone()),
        capabilities,
        input_responses,
        request_state,
        log_level,
        listener,
        room,
    })
}

fn check_arguments(entry: &Entry, given: Option<&RawJson>) -> Result<(), Error> {
    entry.parameters().check(given.map(RawJson::as_str)).map_err(|problems| Error::InvalidArguments {
        tool: entry.name().to_owned(),
        domain: entry.domain().domain().to_string(),
        signature: signature::render(entry.name(), entry.tool()),
        reason: arguments::describe(entry.name(), &problems),
    })
}

/// Every domain of a snapshot has its state, so this is a fault of ours.
fn lost(entry: &Entry) -> Error {
    execution(entry, "the node knows nothing of its upstream", Effect::Nothing)
}

/// A tool that asks for more input than it can be given. What it did before it asked is its own business.
fn asks(entry: &Entry, reason: &str) -> Error {
    execution(entry, reason, Effect::Unknown)
}

fn execution(entry: &Entry, reason: &str, effect: Effect) -> Error {
    let (tool, domain) = (entry.name().to_owned(), entry.domain().domain().to_string());
    Error::Execution { tool, domain, reason: reason.to_owned(), effect }
}

/// What a hook's refusal of this tool means to the caller.
fn about(entry: &Entry, refusal: Refusal) -> Error {
    Error::from(refusal).about(entry.name(), entry.domain().domain().as_str())
}

fn failed(entry: &Entry, error: &limits::Error) -> Error {
    let domain = entry.domain().domain();
    tracing::warn!(upstream.domain = %domain, gateway.tool_name = entry.name(), "a tool call failed: {error}");
    Error::of_call(entry.name(), domain.as_str(), error)
}
