//! `execute_code`: whether the caller may, a place, what it sees, the run, and how its end is told.

use serde::Serialize;
use serde_json::value::RawValue;
use toolplane_registry::RawJson;
use toolplane_sandbox::Failure;
use toolplane_sandbox::outcome::{Call, Status};

use super::error::Error;
use super::reply::{Outcome, Reply};
use super::text::to_text;
use super::{Extras, MetaTools};
use crate::caller::Caller;
use crate::code_mode::{Bindings, CodeMode, Run};
use crate::hooks::error::Refusal;
use crate::hooks::visibility::Scope;
use crate::live::Served;
use crate::options::ErrorResults;

/// A run that ended well.
#[derive(Serialize)]
struct Success<'a> {
    result: &'a RawValue,
    stdout: &'a str,
    calls: Vec<Step<'a>>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// A run that did not.
#[derive(Serialize)]
struct Failed<'a> {
    code: &'static str,
    message: &'a str,
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    traceback: Option<&'a str>,
    stdout: &'a str,
    truncated: bool,
    /// What has taken effect, or may have: a model must not blindly repeat it.
    calls: Vec<Step<'a>>,
}

/// A call of the program.
#[derive(Serialize)]
struct Step<'a> {
    tool: &'a str,
    ok: bool,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    /// Whether it took effect, in one word for every way that it can end.
    effect: &'static str,
}

impl MetaTools {
    /// Runs a program for a caller that the hooks know.
    pub(super) async fn execute_code(
        &self,
        code_mode: &CodeMode,
        served: &Served,
        caller: &Caller,
        source: &str,
        extras: Extras,
    ) -> Result<Outcome, Error> {
        if served.snapshot().settings().code_mode.deny {
            return Err(Error::CodeForbidden);
        }
        caller.authorize_code().await.map_err(|refusal| match refusal {
            Refusal::Denied(denial) => Error::CodeDenied(Box::new(denial)),
            failed @ Refusal::Failed(_) => failed.into(),
        })?;
        let _turn = code_mode.turn(caller).map_err(Error::CodeFull)?;
        let view = caller.view(served, Scope::All).await?;
        let bindings = Bindings::of(&view);
        let executor = &self.executor;
        let run = Run { code_mode, executor, served, caller, metrics: &self.metrics, extras };
        let ended = run.program(source, bindings, view.len()).await;
        let calls = steps(&ended.outcome.calls, &ended.names);
        let (stdout, truncated) = (ended.outcome.stdout.as_str(), ended.outcome.truncated);
        Ok(match &ended.outcome.end {
            Ok(value) => {
                // Hosts that show the text alone are to show what was printed where there is nothing else to show.
                let is_silent = value.text.is_empty() && self.error_results == ErrorResults::IsError;
                let mut reply = Reply::text(if is_silent { stdout } else { &value.text });
                let note = ended.outcome.note.as_deref();
                let structured = Success { result: &value.json, stdout, calls, truncated, note };
                // In the plain form replies are what they were: a text, and nothing that says it otherwise.
                reply.structured = (self.error_results == ErrorResults::IsError).then(|| raw(&structured));
                reply.into()
            }
            Err(failure) => failed(failure, stdout, truncated, calls).into(),
        })
    }
}

fn failed(failure: &Failure, stdout: &str, truncated: bool, calls: Vec<Step<'_>>) -> Reply {
    let Failure { code, message, limit, line, traceback, hint } = failure;
    let body = Failed {
        code: code.as_str(),
        message,
        line: *line,
        limit: limit.map(toolplane_sandbox::Limit::as_str),
        hint: hint.as_deref(),
        traceback: traceback.as_deref(),
        stdout,
        truncated,
        calls,
    };
    // A program that failed was always marked as an error.
    Reply::failure(&to_text(&body), ErrorResults::IsError)
}

fn steps<'a>(calls: &'a [Call], names: &'a [String]) -> Vec<Step<'a>> {
    let step = |(call, name): (&'a Call, &'a String)| Step {
        tool: name,
        ok: call.status == Status::Done,
        duration_ms: (call.duration.as_secs_f64() * 100_000.0).round() / 100.0,
        code: match &call.status {
            Status::Done => None,
            Status::Failed { code, effect: _ } => Some(code),
            Status::NotStarted => Some("not_started"),
            Status::Abandoned => Some("abandoned"),
        },
        effect: call.status.effect().as_str(),
    };
    calls.iter().zip(names).map(step).collect()
}

#[expect(clippy::expect_used, reason = "string keys and valid JSON always serialize")]
fn raw(value: &impl Serialize) -> RawJson {
    serde_json::value::to_raw_value(value).expect("it is JSON").into()
}
