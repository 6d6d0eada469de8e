//! What is told of a call: a span for those who export spans, and one line of the access log.
//!
//! Owns their names and what stands in them. The span has a target of its own, so that it is not even built where
//! nobody asks for it; what an operator wants to read of every call is in the line.

use std::cell::RefCell;

use http::HeaderMap;
use tokio::time::Instant;
use toolplane_registry::Domain;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::brief::brief;
use super::definitions::{
    self, DISCOVER_TOOLS, EXECUTE_CODE, EXECUTE_TOOL, GET_TOOL_SCHEMA, REFRESH_REGISTRY,
};
use super::error::Error;
use super::reply::Outcome;
use super::trace_context;

/// Where one line per call goes; operators filter it apart from everything else.
const ACCESS_LOG: &str = "toolplane::access";

tokio::task_local! {
    static NOTES: RefCell<Notes>;
}

/// What became known of a call while it ran.
#[derive(Debug, Default)]
struct Notes {
    tool: Option<String>,
    domain: Option<String>,
    subject: Option<String>,
}

/// A call that is told of.
#[derive(Debug)]
pub(super) struct Told {
    /// As far as it is one of ours.
    pub(super) meta_tool: &'static str,
    span: Span,
    began: Instant,
}

impl Told {
    /// A call begins.
    pub(super) fn begin(name: &str, headers: &HeaderMap) -> Self {
        let span = span(name);
        if !span.is_disabled() {
            trace_context::follow(&span, headers);
        }
        Self { meta_tool: definitions::known(name).unwrap_or("unknown"), span, began: Instant::now() }
    }

    /// Runs it, and tells how it ended.
    pub(super) async fn of(
        &self,
        call: impl Future<Output = Result<Outcome, Error>>,
    ) -> Result<Outcome, Error> {
        NOTES
            .scope(RefCell::default(), async {
                let outcome = call.instrument(self.span.clone()).await;
                NOTES.with(|notes| self.end(code(&outcome), &notes.borrow()));
                outcome
            })
            .await
    }

    fn end(&self, code: Option<&'static str>, Notes { tool, domain, subject }: &Notes) {
        self.span.record("gateway.error_code", code);
        let duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: ACCESS_LOG,
            parent: &self.span,
            meta_tool = self.meta_tool,
            gateway.tool_name = tool.as_deref(),
            gateway.domain = domain.as_deref(),
            gateway.subject = subject.as_deref(),
            error.code = code,
            duration_ms,
            "answered"
        );
    }
}

/// The code of a call that did not go well. The failure of a tool or of a program is a reply, and still no success.
pub(super) fn code(outcome: &Result<Outcome, Error>) -> Option<&'static str> {
    match outcome {
        Ok(outcome) => outcome.failure(),
        Err(error) => Some(error.kind()),
    }
}

/// The tool that a call is about, in the caller's words.
pub(super) fn tool(name: &str) {
    let name = brief(name);
    Span::current().record("gateway.tool_name", &*name);
    note(|notes| notes.tool = Some(name.into_owned()));
}

/// The domain that a call asked for, in the caller's words.
pub(super) fn wanted_domain(name: Option<&str>) {
    if let Some(name) = name {
        note_domain(&brief(name));
    }
}

/// The domain that a call led to.
pub(super) fn domain(domain: &Domain) {
    note_domain(domain.as_str());
}

/// Who calls, as hooks call them.
pub(super) fn subject(subject: &str) {
    Span::current().record("gateway.subject", subject);
    note(|notes| notes.subject = Some(subject.to_owned()));
}

fn note_domain(name: &str) {
    Span::current().record("gateway.domain", name);
    note(|notes| notes.domain = Some(name.to_owned()));
}

fn note(what: impl FnOnce(&mut Notes)) {
    // There are none outside of a call, and then nobody asks.
    NOTES.try_with(|notes| what(&mut notes.borrow_mut())).unwrap_or_default();
}

fn span(name: &str) -> Span {
    match name {
        DISCOVER_TOOLS => tracing::info_span!(
            target: "toolplane::spans",
            "gateway.discover_tools",
            gateway.domain = Empty,
            gateway.subject = Empty,
            gateway.result_count = Empty,
            gateway.error_code = Empty
        ),
        GET_TOOL_SCHEMA => tracing::info_span!(
            target: "toolplane::spans",
            "gateway.get_tool_schema",
            gateway.tool_name = Empty,
            gateway.subject = Empty,
            gateway.error_code = Empty
        ),
        EXECUTE_TOOL => tracing::info_span!(
            target: "toolplane::spans",
            "gateway.execute_tool",
            gateway.tool_name = Empty,
            gateway.domain = Empty,
            gateway.subject = Empty,
            gateway.error_code = Empty
        ),
        EXECUTE_CODE => tracing::info_span!(
            target: "toolplane::spans",
            "gateway.execute_code",
            gateway.subject = Empty,
            gateway.error_code = Empty,
            code_session_id = Empty,
            code_sha256 = Empty,
            code_byte_len = Empty,
            visible_tool_count = Empty,
            step_count = Empty,
            duration_ms = Empty,
            is_error = Empty,
            error_code = Empty
        ),
        REFRESH_REGISTRY => tracing::info_span!(
            target: "toolplane::spans",
            "gateway.refresh_registry",
            gateway.subject = Empty,
            gateway.error_code = Empty
        ),
        _ => Span::none(),
    }
}
