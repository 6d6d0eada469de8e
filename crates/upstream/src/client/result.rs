//! What a tool answered, taken apart no further than its outermost members.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;
use toolplane_registry::RawJson;

use super::message::broken;
use crate::Error;

/// Most content blocks, and most members: each costs far more memory than the two bytes in which it may be sent.
const MAX_PARTS: usize = 100_000;

/// The members of an object, in the order sent.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// What came back from a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The tool ran.
    Complete(ToolResult),
    /// The tool wants to be asked again with more. Only in the stateless revision.
    InputRequired(InputRequired),
}

/// What a tool wants to know before it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRequired {
    /// What the upstream wants to see again, with the answers.
    pub request_state: Option<String>,
    /// Every other member of the result but its type, as it was sent and in the order sent.
    pub members: Vec<(String, RawJson)>,
}

impl Answer {
    /// Whether the tool ran and reports a failure of its own.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Complete(ToolResult { is_error: true, .. }))
    }
}

/// What a tool answered, each part as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The content blocks: JSON objects of whatever type.
    pub content: Vec<RawJson>,
    /// The structured content: any JSON value, `null` included.
    pub structured_content: Option<RawJson>,
    /// Whether the tool reports a failure.
    pub is_error: bool,
    /// The `_meta` object.
    pub meta: Option<RawJson>,
    /// Every other member of the result, in the order sent.
    pub extra: Vec<(String, RawJson)>,
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Takes a result of `tools/call` apart; nothing in it is interpreted beyond the outermost members.
pub(super) fn parse_answer(result: &RawValue) -> Result<Answer, Error> {
    let members =
        members_within(MAX_PARTS, result.get()).map_err(|_| broken("the result is not a tool result"))?;
    if members.iter().any(|(key, value)| key == "resultType" && value.get() == "\"input_required\"") {
        return parse_input_required(members).map(Answer::InputRequired);
    }
    let mut found = ToolResult {
        content: Vec::new(),
        structured_content: None,
        is_error: false,
        meta: None,
        extra: Vec::new(),
    };
    let mut has_content = false;
    for (key, value) in members {
        match &*key {
            "content" | "isError" | "_meta" if value.get() == "null" => {}
            "content" => {
                has_content = true;
                found.content = parse_content(value)?;
            }
            "structuredContent" => found.structured_content = Some(value.into()),
            "isError" => {
                found.is_error = serde_json::from_str(value.get())
                    .map_err(|_| broken("the tool result's `isError` is not a boolean"))?;
            }
            "_meta" => found.meta = Some(value.into()),
            // It describes the hop: what is complete here may be said otherwise to the caller.
            "resultType" => {}
            _ => found.extra.push((key.into_owned(), value.into())),
        }
    }
    if !has_content && found.structured_content.is_none() {
        return Err(broken("the tool result has no content"));
    }
    Ok(Answer::Complete(found))
}

fn parse_input_required(members: Members<'_>) -> Result<InputRequired, Error> {
    let mut found = InputRequired { request_state: None, members: Vec::new() };
    for (key, value) in members {
        match &*key {
            "resultType" => {}
            "requestState" => {
                found.request_state = serde_json::from_str(value.get())
                    .map_err(|_| broken("the tool result's `requestState` is not a text"))?;
            }
            _ => found.members.push((key.into_owned(), value.into())),
        }
    }
    Ok(found)
}

fn parse_content(content: &RawValue) -> Result<Vec<RawJson>, Error> {
    struct Reader;
    impl<'de> Visitor<'de> for Reader {
        type Value = Vec<RawJson>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut blocks = Vec::new();
            while let Some(block) = items.next_element::<&'de RawValue>()? {
                if blocks.len() == MAX_PARTS {
                    return Err(A::Error::custom("too many"));
                }
                blocks.push(block.into());
            }
            Ok(blocks)
        }
    }
    let blocks = serde_json::Deserializer::from_str(content.get()).deserialize_seq(Reader);
    blocks.map_err(|_| broken("the content is not an array, or one of more than 100000 blocks"))
}

/// The members of an object, values untouched.
pub(super) fn members(text: &str) -> Result<Members<'_>, serde_json::Error> {
    members_within(usize::MAX, text)
}

fn members_within(limit: usize, text: &str) -> Result<Members<'_>, serde_json::Error> {
    struct Reader(usize);
    impl<'de> Visitor<'de> for Reader {
        type Value = Members<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                if members.len() == self.0 {
                    return Err(A::Error::custom("too many"));
                }
                members.push((key, value));
            }
            Ok(members)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(Reader(limit))?;
    deserializer.end()?;
    Ok(members)
}

#[cfg(test)]
mod tests;
