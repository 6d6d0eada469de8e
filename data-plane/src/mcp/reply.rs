//! What a meta-tool answers: a tool result made of raw parts.

use serde::Serialize;
use toolplane_registry::RawJson;

use super::error::Error;
use super::text::to_text;
use crate::options::ErrorResults;

/// A tool result. Parts that came from an upstream are kept as they were sent.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reply {
    /// Required since the 2026-07-28 revision, unknown before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    pub(crate) content: Vec<RawJson>,
    #[serde(rename = "structuredContent", skip_serializing_if = "Option::is_none")]
    pub(crate) structured: Option<RawJson>,
    pub(crate) is_error: bool,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub(crate) meta: Option<RawJson>,
}

#[derive(Serialize)]
struct TextBlock<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

impl Reply {
    /// A result of one text.
    pub(crate) fn text(text: &str) -> Self {
        Self {
            result_type: None,
            content: vec![text_block(text)],
            structured: None,
            is_error: false,
            meta: None,
        }
    }

    /// A result of one text that also says it in structured form, for meta-tools whose output schema says so.
    pub(crate) fn wrapped(text: &str) -> Self {
        let structured = RawJson::from(&serde_json::json!({ "result": text }));
        Self { structured: Some(structured), ..Self::text(text) }
    }

    /// The same in the form that the 2026-07-28 revision asks for.
    pub(crate) fn complete(self) -> Self {
        Self { result_type: Some("complete"), ..self }
    }

    /// A coded error; `wraps` where the meta-tool's output schema asks for the structured form.
    pub(crate) fn error(error: &Error, form: ErrorResults, wraps: bool) -> Self {
        let is_error = match form {
            ErrorResults::IsError => true,
            // A slip in calling the meta-tool itself was always marked as an error.
            ErrorResults::Plain => matches!(error, Error::Usage { .. }),
        };
        let text = to_text(&error.body());
        Self { is_error, ..if wraps { Self::wrapped(&text) } else { Self::text(&text) } }
    }
}

fn text_block(text: &str) -> RawJson {
    #[expect(clippy::expect_used, reason = "two strings always serialize")]
    let block = serde_json::value::to_raw_value(&TextBlock { kind: "text", text }).expect("a text block");
    RawJson::from(&*block)
}
