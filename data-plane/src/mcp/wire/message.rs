//! A message as it comes, and why a body is none.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{INVALID_PARAMS, PARSE_ERROR, read_object};

/// A request, notification or response.
#[derive(Debug, Deserialize)]
pub(in crate::mcp) struct Message<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    /// Absent for notifications; `null` is no id for a request, and not the same as none.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(in crate::mcp) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::mcp) method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::mcp) params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Why a body is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::mcp) enum Refusal {
    /// Not UTF-8 or not JSON.
    #[error("the body is not JSON")]
    Parse,
    /// A batch.
    #[error("batches are not supported; send one message per request")]
    Batch,
    /// JSON, but no JSON-RPC.
    #[error("the body is not a JSON-RPC 2.0 message")]
    Shape,
}

impl Refusal {
    /// What is wrong with a text that is no message.
    fn of(text: &str) -> Self {
        match serde_json::from_str::<&RawValue>(text) {
            Err(_) => Self::Parse,
            Ok(document) if document.get().starts_with('[') => Self::Batch,
            Ok(_) => Self::Shape,
        }
    }

    pub(in crate::mcp) fn code(self) -> i32 {
        match self {
            Self::Parse => PARSE_ERROR,
            Self::Batch | Self::Shape => INVALID_PARAMS,
        }
    }
}

impl<'a> Message<'a> {
    /// Reads a body.
    pub(in crate::mcp) fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| Refusal::Parse)?;
        let message: Self = read_object(text).ok_or_else(|| Refusal::of(text))?;
        let is_something = message.method.is_some() || message.result.is_some() || message.error.is_some();
        let has_usable_id = message.id.is_none_or(|id| {
            // Only an error may have it, about a request whose id could not be read.
            let is_null = id.get() == "null" && message.method.is_none();
            is_null || id.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit())
        });
        if message.jsonrpc == "2.0" && is_something && has_usable_id {
            Ok(message)
        } else {
            Err(Refusal::Shape)
        }
    }
}

/// A member that is there, `null` included.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_told_apart() {
        let refusal = |body: &[u8]| Message::read(body).map(|_| ()).unwrap_err();
        assert_eq!(refusal(b"{nope"), Refusal::Parse);
        assert_eq!(refusal(b"\xff\xfe"), Refusal::Parse);
        assert_eq!(refusal(b" [{}]"), Refusal::Batch);
        for body in [
            r#"{"hello":1}"#,
            "5",
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
        ] {
            assert_eq!(refusal(body.as_bytes()), Refusal::Shape, "{body}");
        }
        for id in ["{}", "null"] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            assert_eq!(refusal(body.as_bytes()), Refusal::Shape);
        }
        assert!(Message::read(br#"{"jsonrpc":"2.0","method":"x"}"#).unwrap().id.is_none());
        assert!(Message::read(br#"{"jsonrpc":"2.0","id":null,"error":{}}"#).is_ok());
        let message =
            Message::read(br#"{"jsonrpc":"2.0","id":"a","method":"x","params":{"n":1e400}}"#).unwrap();
        assert_eq!(message.params.unwrap().get(), r#"{"n":1e400}"#);
        assert!(Message::read(br#"{"jsonrpc":"2.0","id":0,"result":{}}"#).unwrap().method.is_none());
    }
}
