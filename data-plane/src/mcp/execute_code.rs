//! `execute_code`: whether the caller may, a place, what it sees, the run, and how its end is told.

use serde::Serialize;
use serde_json::value::RawValue;
use toolplane_registry::RawJson;
use toolplane_sandbox::outcome::{Call, Status};
use toolplane_sandbox::{Failure, Outcome as SandboxOutcome, Value};

use super::error::{Error, OUTPUT_GUARD_REJECT};
use super::reply::{Outcome, Reply};
use super::text::to_text;
use super::{Extras, MetaTools};
use crate::caller::Caller;
use crate::code_mode::{Bindings, CodeMode, Ended, Guarded, Run};
use crate::hooks::error::Refusal;
use crate::hooks::visibility::Scope;
use crate::live::Served;
use crate::options::ErrorResults;
use crate::output_guard::Mark;

const WITHHELD: &str =
    "what the program gave back holds markup that tries to steer the model; it was withheld";

/// A run that ended well.
#[derive(Serialize)]
struct Success<'a> {
    result: &'a RawValue,
    stdout: &'a str,
    calls: Vec<Step<'a>>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(rename = "_output_guard", skip_serializing_if = "Option::is_none")]
    output_guard: Option<Mark>,
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
    #[serde(rename = "_output_guard", skip_serializing_if = "Option::is_none")]
    output_guard: Option<Mark>,
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
            other @ (Refusal::Failed(_) | Refusal::OutOfTime | Refusal::NoRoom) => other.into(),
        })?;
        let turn = code_mode.turn(caller).inspect_err(|full| self.metrics.code_refused(*full));
        let _turn = turn.map_err(Error::CodeFull)?;
        let view = caller.view(served, Scope::All).await?;
        let bindings = Bindings::of(&view);
        let executor = &self.executor;
        let run = Run { code_mode, executor, served, caller, metrics: &self.metrics, extras };
        let ended = run.program(source, bindings, view.len()).await;
        Ok(reply(&ended, self.error_results).into())
    }
}

fn reply(ended: &Ended, form: ErrorResults) -> Reply {
    let Ended { outcome, guarded, names } = ended;
    let calls = steps(&outcome.calls, names);
    let output_guard = match *guarded {
        Guarded::Rejected => return withheld(calls),
        Guarded::Modified { mode } => Some(Mark::of(mode)),
        Guarded::Untouched => None,
    };
    match &outcome.end {
        Ok(value) => success(outcome, value, calls, output_guard, form),
        Err(failure) => failed(outcome, failure, calls, output_guard),
    }
}

fn success(
    outcome: &SandboxOutcome,
    value: &Value,
    calls: Vec<Step<'_>>,
    output_guard: Option<Mark>,
    form: ErrorResults,
) -> Reply {
    let (stdout, truncated, note) = (outcome.stdout.as_str(), outcome.truncated, outcome.note.as_deref());
    // Hosts that show the text alone are to show what was printed where there is nothing else to show.
    let is_silent = value.text.is_empty() && form == ErrorResults::IsError;
    let mut reply = Reply::text(if is_silent { stdout } else { &value.text });
    let structured = Success { result: &value.json, stdout, calls, truncated, note, output_guard };
    // In the plain form replies are what they were: a text, and nothing that says it otherwise.
    reply.structured = (form == ErrorResults::IsError).then(|| raw(&structured));
    reply
}

fn failed(
    outcome: &SandboxOutcome,
    failure: &Failure,
    calls: Vec<Step<'_>>,
    output_guard: Option<Mark>,
) -> Reply {
    let Failure { code, message, limit, line, traceback, hint } = failure;
    told(&Failed {
        code: code.as_str(),
        message,
        line: *line,
        limit: limit.map(toolplane_sandbox::Limit::as_str),
        hint: hint.as_deref(),
        traceback: traceback.as_deref(),
        stdout: &outcome.stdout,
        truncated: outcome.truncated,
        calls,
        output_guard,
    })
}

/// Nothing that a program made gets through where the guard rejects, only what the node knows of its calls.
fn withheld(calls: Vec<Step<'_>>) -> Reply {
    told(&Failed {
        code: OUTPUT_GUARD_REJECT,
        message: WITHHELD,
        line: None,
        limit: None,
        hint: None,
        traceback: None,
        stdout: "",
        truncated: false,
        calls,
        output_guard: None,
    })
}

fn told(failed: &Failed<'_>) -> Reply {
    // A program that failed was always marked as an error.
    Reply::failure(failed.code, to_text(failed), ErrorResults::IsError)
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
