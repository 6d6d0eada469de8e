//! `execute_tool`: find the tool, check the arguments, call its upstream, guard what comes back, answer.
//!
//! Everything up to the call is decided on one snapshot and without any traffic. What the upstream sent is passed
//! on as it came: its texts inside the envelope, everything else beside it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use toolplane_registry::view::Entry;
use toolplane_registry::{RawJson, Tool, arguments, limits, signature};
use toolplane_upstream::auth::outgoing_headers;
use toolplane_upstream::client::{Answer, InputRequired, Target, ToolCall, ToolResult};
use toolplane_upstream::limits::Limited;
use toolplane_upstream::limits::call::EXPECTED_TIMEOUT;

use super::arguments::Execute;
use super::error::Error;
use super::get_tool_schema::find;
use super::reply::{Outcome, Reply};
use super::request_state::{self, Binding, Problem};
use super::text::to_text;
use super::{Dialog, Extras, told};
use crate::caller::Caller;
use crate::live::Served;
use crate::metrics::Metrics;
use crate::options::ErrorResults;
use crate::output_guard::{Guard, Verdict};

const NEEDS_STATELESS: &str =
    "the tool asks for further input, which only reaches clients that speak MCP 2026-07-28";
const NO_KEYS: &str =
    "the tool asks for further input, and the control plane has given this node no keys for that yet";

/// What an execution works with, whoever asks for it.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) client: Limited,
    pub(crate) guard: Guard,
    pub(crate) error_results: ErrorResults,
    pub(crate) metrics: Metrics,
    pub(crate) request_state_ttl: Duration,
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
        extras: Extras,
    ) -> Result<Outcome, Error> {
        self.execute_as(served, caller, call, extras, |entry, result| self.answer(entry, result)).await
    }

    /// The same, with another form of the result.
    pub(crate) async fn execute_as(
        &self,
        served: &Served,
        caller: &Caller,
        call: Execute,
        extras: Extras,
        form: impl FnOnce(&Entry, ToolResult) -> Result<Reply, Error> + Send,
    ) -> Result<Outcome, Error> {
        let entry = find(caller.view(served.snapshot()), &call.tool_name)?;
        told::domain(entry.domain().domain());
        check_arguments(entry, call.arguments.as_ref())?;
        let Extras { meta, dialog, listener, log_level, room } = extras;
        let can_be_asked = dialog.is_some();
        let Dialog { capabilities, input_responses, request_state } = dialog.unwrap_or_default();
        let request_state = match (&request_state, &input_responses) {
            (Some(sealed), _) => reopened(served, caller, entry, &call, sealed)?,
            (None, Some(_)) => return Err(Error::RequestState(Problem::Missing)),
            (None, None) => None,
        };
        let call = ToolCall {
            name: entry.tool().original_name.to_string(),
            arguments: call.arguments,
            meta,
            input_schema: Some(entry.tool().input_schema.clone()),
            capabilities,
            input_responses,
            request_state,
            log_level,
            listener,
            room,
        };
        let Some(state) = served.state(entry.domain().domain()) else { return Err(lost(entry)) };
        let calling = self.metrics.upstream_call(entry.domain().domain());
        let answer = self
            .client
            .call_tool(state, &target(served, caller, entry), &call, deadline(&caller.headers), || {
                is_harmless(entry.tool())
            })
            .await;
        calling.ended(answer.as_ref().map(Answer::is_failure));
        match answer.map_err(|error| failed(entry, &error))? {
            Answer::Complete(result) => form(entry, result).map(Into::into),
            Answer::InputRequired(_) if !can_be_asked => Err(execution(entry, NEEDS_STATELESS)),
            Answer::InputRequired(asked) => self.question(served, caller, entry, &call, asked),
        }
    }

    /// What a tool wants to know, with a state that leads back to it from any node.
    fn question(
        &self,
        served: &Served,
        caller: &Caller,
        entry: &Entry,
        call: &ToolCall,
        asked: InputRequired,
    ) -> Result<Outcome, Error> {
        let InputRequired { request_state, members } = asked;
        let (keys, now) = (&served.snapshot().settings().request_keys, unix_millis());
        let ttl = i64::try_from(self.request_state_ttl.as_millis()).unwrap_or(i64::MAX);
        let binding = binding(caller, entry, call.arguments.as_ref());
        let sealed = request_state::seal(keys, binding, request_state, now, now.saturating_add(ttl));
        let sealed = sealed.ok_or_else(|| execution(entry, NO_KEYS))?;
        Ok(Outcome::input_required(&members, &sealed))
    }

    fn answer(&self, entry: &Entry, result: ToolResult) -> Result<Reply, Error> {
        let ToolResult { content, structured_content, is_error, meta, extra } = result;
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
        reply.extra = extra.into_iter().collect();
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

/// The upstream's own state out of the one that the caller brings back.
fn reopened(
    served: &Served,
    caller: &Caller,
    entry: &Entry,
    call: &Execute,
    sealed: &str,
) -> Result<Option<String>, Error> {
    let binding = binding(caller, entry, call.arguments.as_ref());
    request_state::open(&served.snapshot().settings().request_keys, binding, sealed, unix_millis())
        .map_err(Error::RequestState)
}

fn check_arguments(entry: &Entry, given: Option<&RawJson>) -> Result<(), Error> {
    entry.parameters().check(given.map(RawJson::as_str)).map_err(|problems| Error::InvalidArguments {
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
        tls: served.pool(domain).cloned(),
        session_mode: endpoint.session_mode,
        config_id: endpoint.config_id.clone(),
        protocol: endpoint.protocol,
        domain: Some(domain.clone()),
    }
}

/// When nobody waits for the answer any more, as far as the caller said so.
fn deadline(headers: &HeaderMap) -> Instant {
    let left = headers.get(EXPECTED_TIMEOUT).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let left = left.map(Duration::from_millis).filter(|left| !left.is_zero());
    // The upstream's own limit is far less than this.
    Instant::now() + left.unwrap_or(limits::MAX_TIME).min(limits::MAX_TIME)
}

/// Whether the tool says of itself that running it twice is like running it once. Whoever says so falsely harms nobody
/// but itself.
fn is_harmless(tool: &Tool) -> bool {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Hints {
        read_only_hint: bool,
        idempotent_hint: bool,
    }
    let hints = tool.annotations.as_ref().and_then(|raw| serde_json::from_str::<Hints>(raw.as_str()).ok());
    hints.is_some_and(|hints| hints.read_only_hint || hints.idempotent_hint)
}

/// Every domain of a snapshot has its state, so this is a fault of ours.
fn lost(entry: &Entry) -> Error {
    execution(entry, "the node knows nothing of its upstream")
}

fn binding<'a>(caller: &'a Caller, entry: &'a Entry, arguments: Option<&'a RawJson>) -> Binding<'a> {
    Binding {
        domain: entry.domain().domain().as_str(),
        tool: entry.name(),
        arguments,
        caller: &caller.headers,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "read here at the edge; what is checked against it takes it as a parameter"
)]
fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn execution(entry: &Entry, reason: &str) -> Error {
    let (tool, domain) = (entry.name().to_owned(), entry.domain().domain().to_string());
    Error::Execution { tool, domain, reason: reason.to_owned() }
}

fn failed(entry: &Entry, error: &toolplane_upstream::limits::Error) -> Error {
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
            // A list is no block: read by place, its items would pass for members.
            Ok(Block { kind, text: Some(text) }) if kind == "text" && block.as_str().starts_with('{') => {
                texts.push(text.into_owned());
            }
            _ => others.push(block),
        }
    }
    (texts.join("\n"), others)
}

#[cfg(test)]
mod tests {
    use toolplane_registry::test_util::a_tool;

    use super::*;

    #[test]
    fn only_tools_that_say_so_may_run_twice() {
        for (annotations, expected) in [
            (None, false),
            (Some("{}"), false),
            (Some(r#"{"readOnlyHint":true,"x":1}"#), true),
            (Some(r#"{"idempotentHint":true,"readOnlyHint":false}"#), true),
            (Some(r#"{"readOnlyHint":"true"}"#), false),
            (Some("[]"), false),
        ] {
            let annotations = annotations.map(|text| RawJson::parse(text).unwrap());
            assert_eq!(is_harmless(&Tool { annotations, ..a_tool("t") }), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_is_the_callers_where_there_is_one() {
        let after = |value: Option<&'static str>| {
            let value = value.map(|text| (EXPECTED_TIMEOUT, http::HeaderValue::from_static(text)));
            deadline(&value.into_iter().collect()) - Instant::now()
        };
        assert_eq!(after(Some("1500")), Duration::from_millis(1500));
        for none in [None, Some("0"), Some("soon"), Some("-1"), Some("99999999999999")] {
            assert_eq!(after(none), limits::MAX_TIME, "{none:?}");
        }
    }

    #[test]
    fn texts_are_joined_and_other_blocks_stay_as_sent() {
        let raw = |text: &str| RawJson::parse(text).unwrap();
        let image = raw(r#"{"type":"image","data":"AA==","mimeType":"image/png","x":1e400}"#);
        let odd = raw(r#"{"type":"text"}"#);
        let list = raw(r#"["text","by place"]"#);
        let (text, others) = split(vec![
            raw(r#"{"type":"text","text":"first"}"#),
            image.clone(),
            odd.clone(),
            list.clone(),
            raw(r#"{"type":"text","text":"l\u00e4st","annotations":{}}"#),
        ]);
        assert_eq!(text, "first\nläst");
        assert_eq!(others, [image, odd, list]);
    }
}
