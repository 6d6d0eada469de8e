//! The output guard over what a program gives back.
//!
//! What tools answer is judged before a program has it. A program can put together again what was kept apart, take it out
//! of structured values, which nobody reads for a model, or have it told by an exception: so everything that goes back to
//! the model is judged as a tool's own answer would be.

use serde_json::value::RawValue;
use toolplane_registry::view::Entry;
use toolplane_sandbox::{Failure, Outcome, Value};

use crate::output_guard::{Guard, Judge, Judged};

/// What the guard made of a run's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarded {
    /// It is as the program made it.
    Untouched,
    /// Patterns were replaced; the mode is named beside the result.
    Modified {
        /// `strip` or `marker`.
        mode: &'static str,
    },
    /// Nothing of it may get through but the calls that were made.
    Rejected,
}

/// Judges everything of an outcome that a program had a part in. `called` are the tools whose answers it had.
pub(super) fn guard<'e>(
    guard: &Guard,
    called: impl IntoIterator<Item = &'e Entry>,
    outcome: &mut Outcome,
) -> Guarded {
    let Some(judge) = guard.over(called) else { return Guarded::Untouched };
    let mut sum = Judged::Pass;
    {
        let mut text = |text: &mut String| sum = sum.max(judge.text(text));
        text(&mut outcome.stdout);
        outcome.note.iter_mut().for_each(&mut text);
        match &mut outcome.end {
            Ok(value) => text(&mut value.text),
            Err(Failure { message, traceback, hint, code: _, limit: _, line: _ }) => {
                text(message);
                traceback.iter_mut().chain(hint).for_each(text);
            }
        }
    }
    if let Ok(Value { json, text: _ }) = &mut outcome.end {
        sum = sum.max(judge_json(&judge, json));
    }
    match sum {
        Judged::Pass => Guarded::Untouched,
        Judged::Modified => Guarded::Modified { mode: judge.word() },
        Judged::Reject => Guarded::Rejected,
    }
}

fn judge_json(judge: &Judge, json: &mut Box<RawValue>) -> Judged {
    let (judged, changed) = judge.strings(json.get());
    // Strings in the place of strings leave JSON what it is.
    match changed.map(RawValue::from_string) {
        None => judged,
        Some(Ok(changed)) => {
            *json = changed;
            judged
        }
        Some(Err(_)) => Judged::Reject,
    }
}
