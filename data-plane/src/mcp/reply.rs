//! What a meta-tool answers: a tool result made of raw parts.

mod write;

use std::collections::BTreeMap;

use toolplane_registry::RawJson;

use super::error::Error;
use super::text::to_text;
use crate::options::ErrorResults;

/// A tool result. Parts that came from an upstream are kept as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Required since the 2026-07-28 revision, unknown before it.
    result_type: Option<&'static str>,
    /// The first block of the content; absent where all of them are an upstream's.
    text: Option<Text>,
    /// Whether the text is said in structured form, too.
    wraps: bool,
    /// What follows the text.
    pub(crate) content: Vec<RawJson>,
    pub(crate) structured: Option<RawJson>,
    pub(crate) is_error: bool,
    /// The code of the failure that it tells of, marked as an error or not.
    failure: Option<&'static str>,
    pub(crate) meta: Option<RawJson>,
    /// Members of an upstream's result that nobody here knows.
    pub(crate) extra: BTreeMap<String, RawJson>,
}

/// The text of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    /// Of this reply alone.
    Own(String),
    /// As a JSON string that others have as well.
    Shared(RawJson),
}

/// How a call ended.
#[derive(Debug, Clone)]
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

impl Reply {
    /// A result of one text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::of(Some(Text::Own(text.into())))
    }

    /// A result of one text that also says it in structured form, for meta-tools whose output schema says so.
    pub(crate) fn wrapped(text: impl Into<String>) -> Self {
        Self { wraps: true, ..Self::text(text) }
    }

    /// The same of a text that is kept as a JSON string. It is shared, not copied.
    pub(crate) fn wrapped_string(text: RawJson) -> Self {
        Self { wraps: true, ..Self::of(Some(Text::Shared(text))) }
    }

    /// A result of these blocks.
    pub(crate) fn blocks(content: Vec<RawJson>) -> Self {
        Self { content, ..Self::of(None) }
    }

    fn of(text: Option<Text>) -> Self {
        Self {
            result_type: None,
            text,
            wraps: false,
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
    pub(crate) fn failure(code: &'static str, text: impl Into<String>, form: ErrorResults) -> Self {
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
        Self { is_error, failure: Some(error.kind()), wraps, ..Self::text(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::write::tests::written;
    use super::*;

    #[test]
    fn a_failure_is_one_in_either_form_and_only_the_form_shows() {
        let error = Error::Upstream { tool: "t".to_owned(), text: "no".to_owned() };
        for (form, marked) in [(ErrorResults::IsError, true), (ErrorResults::Plain, false)] {
            let outcome = Outcome::from(Reply::error(&error, form, false));
            let sent = written(&outcome);
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
