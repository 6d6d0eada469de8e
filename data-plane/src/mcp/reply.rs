//! What a meta-tool answers: a tool result made of raw parts.

use std::collections::BTreeMap;

use serde::Serialize;
use toolplane_registry::RawJson;

use super::error::Error;
use super::text::to_text;
use crate::options::ErrorResults;

/// What is written around the parts of a result, in bytes.
const AROUND: usize = 192;

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
    /// The code of the failure that it tells of, marked as an error or not.
    #[serde(skip)]
    failure: Option<&'static str>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub(crate) meta: Option<RawJson>,
    /// Members of an upstream's result that nobody here knows.
    #[serde(flatten)]
    pub(crate) extra: BTreeMap<String, RawJson>,
}

/// How a call ended.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    /// With a result.
    Complete(Reply),
    /// With questions to the caller: the whole result.
    InputRequired(RawJson),
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Complete(reply)
    }
}

impl Outcome {
    /// The code of the failure that it tells of, in whatever form errors come back.
    pub(crate) fn failure(&self) -> Option<&'static str> {
        match self {
            Self::Complete(reply) => reply.failure,
            Self::InputRequired(_) => None,
        }
    }

    /// About how long it is when it is written, with what is around it; not less.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Complete(reply) => reply.length(),
            Self::InputRequired(whole) => AROUND + whole.as_str().len(),
        }
    }

    /// The same in the form that the 2026-07-28 revision asks for.
    pub(crate) fn stateless(self) -> Self {
        match self {
            Self::Complete(reply) => reply.complete().into(),
            other @ Self::InputRequired(_) => other,
        }
    }

    /// Questions to the caller, with the state that it has to bring back.
    pub(crate) fn input_required(members: &[(String, RawJson)], request_state: &str) -> Self {
        let mut text = String::from(r#"{"resultType":"input_required""#);
        for (key, value) in members {
            let key = serde_json::Value::from(key.as_str()).to_string();
            text.push_str(&[",", &key, ":", value.as_str()].concat());
        }
        let state = serde_json::Value::from(request_state).to_string();
        text.push_str(&[r#","requestState":"#, &state, "}"].concat());
        #[expect(clippy::expect_used, reason = "made of valid pieces")]
        let whole = RawJson::parse(&text).expect("an object of valid members");
        Self::InputRequired(whole)
    }
}

#[derive(Serialize)]
struct TextBlock<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct Wrapped<'a> {
    result: &'a str,
}

impl Reply {
    /// A result of one text.
    pub(crate) fn text(text: &str) -> Self {
        Self { content: vec![text_block(text)], ..Self::empty() }
    }

    /// A result of one text that also says it in structured form, for meta-tools whose output schema says so.
    pub(crate) fn wrapped(text: &str) -> Self {
        Self { structured: Some(raw(&Wrapped { result: text })), ..Self::text(text) }
    }

    /// Content and structured content of one that succeeded, to make it again of.
    pub(crate) fn into_parts(self) -> Vec<RawJson> {
        self.content.into_iter().chain(self.structured).collect()
    }

    /// What [`Reply::wrapped`] was before it was taken into parts. They are shared, not copied.
    pub(crate) fn of_parts(parts: &[RawJson]) -> Self {
        let (content, structured) = parts.split_at(parts.len().min(1));
        Self { content: content.to_vec(), structured: structured.first().cloned(), ..Self::empty() }
    }

    fn length(&self) -> usize {
        let parts = self.content.iter().chain(&self.structured).chain(&self.meta);
        let parts: usize = parts.map(|part| part.as_str().len() + 1).sum();
        let extra = self.extra.iter().map(|(key, value)| key.len() + 4 + value.as_str().len());
        AROUND + parts + extra.sum::<usize>()
    }

    fn empty() -> Self {
        Self {
            result_type: None,
            content: Vec::new(),
            structured: None,
            is_error: false,
            failure: None,
            meta: None,
            extra: BTreeMap::new(),
        }
    }

    /// The same in the form that the 2026-07-28 revision asks for.
    pub(crate) fn complete(self) -> Self {
        Self { result_type: Some("complete"), ..self }
    }

    /// A failure that a tool or a program itself reports, in whatever form errors come back.
    pub(crate) fn failure(code: &'static str, text: &str, form: ErrorResults) -> Self {
        Self { is_error: form == ErrorResults::IsError, failure: Some(code), ..Self::text(text) }
    }

    /// A coded error; `wraps` where the meta-tool's output schema asks for the structured form.
    pub(crate) fn error(error: &Error, form: ErrorResults, wraps: bool) -> Self {
        let is_error = match form {
            ErrorResults::IsError => true,
            // A slip in calling the meta-tool itself was always marked as an error, and so was a broken hook.
            ErrorResults::Plain => {
                matches!(error, Error::Usage { .. } | Error::RequestState(_) | Error::Hook { .. })
            }
        };
        let text = to_text(&error.body());
        let failure = Some(error.kind());
        Self { is_error, failure, ..if wraps { Self::wrapped(&text) } else { Self::text(&text) } }
    }
}

fn text_block(text: &str) -> RawJson {
    raw(&TextBlock { kind: "text", text })
}

#[expect(clippy::expect_used, reason = "structs of strings always serialize")]
fn raw(value: &impl Serialize) -> RawJson {
    serde_json::value::to_raw_value(value).expect("strings are JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_in_either_form_and_only_the_form_shows() {
        let error = Error::Upstream { tool: "t".to_owned(), text: "no".to_owned() };
        for (form, marked) in [(ErrorResults::IsError, true), (ErrorResults::Plain, false)] {
            let outcome = Outcome::from(Reply::error(&error, form, false));
            let sent = serde_json::to_value(&outcome).unwrap();
            assert_eq!(
                (outcome.failure(), &sent["isError"]),
                (Some("upstream_error"), &marked.into()),
                "{form:?}"
            );
            assert_eq!(sent.as_object().unwrap().len(), 2, "{sent}");
            assert!(outcome.stateless().failure().is_some());
        }
        assert_eq!(Outcome::from(Reply::text("yes")).failure(), None);
    }
}
