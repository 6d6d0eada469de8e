//! A result for a program: a value instead of an envelope.
//!
//! Structured content is the value; where there is none, the first text is. A failure that the tool itself reports is an
//! error here, which a program can catch.

use serde::Deserialize;
use toolplane_registry::RawJson;
use toolplane_registry::view::Entry;
use toolplane_upstream::client::ToolResult;

use super::super::Extras;
use super::super::error::Error;
use super::{Executor, Ran, Run, asks};
use crate::caller::Caller;
use crate::live::Served;
use crate::output_guard::Verdict;

const ASKS: &str = "it asks for further input, which a program cannot give; call it with execute_tool";

/// As much of a content block as a program takes.
#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

impl Executor {
    /// Runs one tool for a program: everything that holds for a direct call holds here.
    pub(crate) async fn execute_for_code(
        &self,
        served: &Served,
        caller: &Caller,
        entry: &Entry,
        arguments: RawJson,
        extras: Extras,
    ) -> Result<RawJson, Error> {
        match self.run(served, caller, entry, Some(arguments), extras).await? {
            Run::Ran(ran) => self.value(entry, ran).await,
            Run::Asks(_) => Err(asks(entry, ASKS)),
        }
    }

    async fn value(&self, entry: &Entry, ran: Ran<'_>) -> Result<RawJson, Error> {
        let Ran { result, mut ending } = ran;
        let ToolResult { content, structured_content, is_error, .. } = result;
        let text = first_text(&content);
        if is_error {
            let words =
                text.or_else(|| structured_content.map(|raw| raw.as_str().to_owned())).unwrap_or_default();
            let text = ending.after(words, true).await?;
            return Err(Error::Upstream { tool: entry.name().to_owned(), text });
        }
        let value = structured_content.filter(|raw| raw.as_str() != "null");
        let text = text.unwrap_or_default();
        // What a direct call would not let through does not get through here, whichever part of it is the value.
        if value.is_some() && self.guard.judge(entry, text.clone()) == Verdict::Reject {
            return Err(rejected(entry));
        }
        if let Some(value) = value {
            let shown = ending.after(value.as_str().to_owned(), false).await?;
            // Hooks that change it write JSON, or a text that stands for the whole value.
            return Ok(if shown == value.as_str() {
                value
            } else {
                RawJson::parse(&shown).unwrap_or_else(|_| string(&shown))
            });
        }
        let text = match self.guard.judge(entry, text) {
            Verdict::Pass(text) | Verdict::Modified { text, mode: _ } => text,
            Verdict::Reject => return Err(rejected(entry)),
        };
        Ok(string(&ending.after(text, false).await?))
    }
}

fn rejected(entry: &Entry) -> Error {
    Error::GuardRejected { tool: entry.name().to_owned(), domain: entry.domain().domain().to_string() }
}

fn first_text(content: &[RawJson]) -> Option<String> {
    content.iter().find_map(|block| {
        let Block { kind, text } = serde_json::from_str(block.as_str()).ok()?;
        text.filter(|_| kind == "text" && block.as_str().starts_with('{'))
    })
}

fn string(text: &str) -> RawJson {
    RawJson::from(&serde_json::Value::from(text))
}
