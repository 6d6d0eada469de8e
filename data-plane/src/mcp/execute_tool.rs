//! `execute_tool`: find the tool, check the arguments, call its upstream, guard what comes back, answer.
//!
//! Everything up to the call is decided on one snapshot and without any traffic. What the upstream sent is passed
//! on as it came: its texts inside the envelope, everything else beside it.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toolplane_registry::view::Entry;
use toolplane_registry::{RawJson, arguments, signature};
use toolplane_upstream::Client;
use toolplane_upstream::auth::outgoing_headers;
use toolplane_upstream::client::{Target, ToolCall, ToolResult};

use super::arguments::Execute;
use super::error::Error;
use super::get_tool_schema::find;
use super::reply::Reply;
use super::text::to_text;
use crate::caller::Caller;
use crate::live::Served;
use crate::options::ErrorResults;
use crate::output_guard::{Guard, Verdict};

/// What an execution works with, whoever asks for it.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) client: Client,
    pub(crate) guard: Guard,
    pub(crate) deadline: Duration,
    pub(crate) error_results: ErrorResults,
}

#[derive(Serialize)]
struct Envelope<'a> {
    tool: &'a str,
    result: &'a str,
    #[serde(rename = "_output_guard", skip_serializing_if = "Option::is_none")]
    output_guard: Option<Guarded>,
}

#[derive(Serialize)]
struct Guarded {
    mode: &'static str,
    modified: bool,
}

/// As much of a content block as decides where it goes.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

impl Executor {
    /// Runs one tool for a caller. A failure that the tool itself reports is an ordinary reply.
    pub(crate) async fn execute(
        &self,
        served: &Served,
        caller: &Caller,
        call: Execute,
        meta: Option<RawJson>,
    ) -> Result<Reply, Error> {
        let entry = find(caller.view(served.snapshot()), &call.tool_name)?;
        tracing::Span::current().record("gateway.domain", entry.domain().domain().as_str());
        check_arguments(entry, call.arguments.as_ref())?;
        let call = ToolCall { name: entry.tool().original_name.to_string(), arguments: call.arguments, meta };
        let result = self
            .client
            .call_tool(&target(served, caller, entry), &call, self.deadline)
            .await
            .map_err(|error| failed(entry, &error))?;
        self.answer(entry, result)
    }

    fn answer(&self, entry: &Entry, result: ToolResult) -> Result<Reply, Error> {
        let ToolResult { content, structured_content, is_error, meta } = result;
        let (text, others) = split(content);
        let mut reply = if is_error {
            tracing::Span::current().record("gateway.error_code", "upstream_error");
            let error = Error::Upstream { tool: entry.name().to_owned(), text };
            Reply::error(&error, self.error_results, false)
        } else {
            Reply::text(&self.envelope(entry, text)?)
        };
        reply.content.extend(others);
        reply.structured = structured_content;
        reply.meta = meta;
        Ok(reply)
    }

    fn envelope(&self, entry: &Entry, text: String) -> Result<String, Error> {
        let (text, output_guard) = match self.guard.judge(entry, text) {
            Verdict::Pass(text) => (text, None),
            Verdict::Modified { text, mode } => (text, Some(Guarded { mode, modified: true })),
            Verdict::Reject => {
                return Err(Error::GuardRejected {
                    tool: entry.name().to_owned(),
                    domain: entry.domain().domain().to_string(),
                });
            }
        };
        Ok(to_text(&Envelope { tool: entry.name(), result: &text, output_guard }))
    }
}

fn check_arguments(entry: &Entry, given: Option<&RawJson>) -> Result<(), Error> {
    arguments::check(entry.tool(), given.map(RawJson::as_str)).map_err(|problems| Error::InvalidArguments {
        tool: entry.name().to_owned(),
        domain: entry.domain().domain().to_string(),
        signature: signature::render(entry.name(), entry.tool()),
        reason: arguments::describe(entry.name(), &problems),
    })
}

fn target(served: &Served, caller: &Caller, entry: &Entry) -> Target {
    let domain = entry.domain().domain();
    let endpoint = entry.domain().endpoint();
    Target {
        url: endpoint.url.clone(),
        headers: outgoing_headers(&endpoint.headers, served.forward(domain), &caller.headers, &[]),
        session_mode: endpoint.session_mode,
        config_id: endpoint.config_id.clone(),
        domain: Some(domain.clone()),
    }
}

fn failed(entry: &Entry, error: &toolplane_upstream::Error) -> Error {
    let domain = entry.domain().domain();
    tracing::warn!(upstream.domain = %domain, gateway.tool_name = entry.name(), "a tool call failed: {error}");
    Error::of_call(entry.name(), domain.as_str(), error)
}

/// The texts, joined by line breaks, and all other blocks as they were sent.
fn split(content: Vec<RawJson>) -> (String, Vec<RawJson>) {
    let mut texts: Vec<String> = Vec::new();
    let mut others = Vec::new();
    for block in content {
        match serde_json::from_str::<Block<'_>>(block.as_str()) {
            Ok(Block { kind, text: Some(text) }) if kind == "text" => texts.push(text.into_owned()),
            _ => others.push(block),
        }
    }
    (texts.join("\n"), others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_joined_and_other_blocks_stay_as_sent() {
        let raw = |text: &str| RawJson::parse(text).unwrap();
        let image = raw(r#"{"type":"image","data":"AA==","mimeType":"image/png","x":1e400}"#);
        let odd = raw(r#"{"type":"text"}"#);
        let (text, others) = split(vec![
            raw(r#"{"type":"text","text":"first"}"#),
            image.clone(),
            odd.clone(),
            raw(r#"{"type":"text","text":"l\u00e4st","annotations":{}}"#),
        ]);
        assert_eq!(text, "first\nläst");
        assert_eq!(others, [image, odd]);
    }
}
