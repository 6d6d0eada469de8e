//! JSON kept as it was sent, and its canonical form.
//!
//! Owns [`RawJson`] (a document whose number spellings and key order survive) and [`canonical`]. Never
//! interprets a document; that is for [`crate::schema`] and [`crate::ingest`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Deepest nesting [`canonical`] follows.
pub const MAX_DEPTH: usize = 256;

/// Why a text has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON.
    #[error("not valid JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// A JSON document as text, exactly as it was received. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(Arc<str>);

impl RawJson {
    /// Checks that the text is one JSON document and keeps it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Ok(Self(raw.get().into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the document into a value; numbers beyond `f64` do not survive this.
    pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl From<&RawValue> for RawJson {
    fn from(raw: &RawValue) -> Self {
        Self(raw.get().into())
    }
}

impl From<&serde_json::Value> for RawJson {
    fn from(value: &serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        <&RawValue>::deserialize(&mut serde_json::Deserializer::from_str(&self.0))
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self::from(&*raw))
    }
}

/// Writes a document with sorted keys and no white space; numbers keep their spelling, a repeated key its last value.
pub fn canonical(text: &str) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    write_canonical(serde_json::from_str::<&RawValue>(text)?, &mut out, 0)?;
    Ok(out)
}

fn write_canonical(raw: &RawValue, out: &mut String, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::TooDeep);
    }
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            out.push('{');
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            for (i, (key, value)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(&key)?);
                out.push(':');
                write_canonical(value, out, depth + 1)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            out.push('[');
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            for (i, item) in items.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_canonical(item, out, depth + 1)?;
            }
            out.push(']');
        }
        Some(b'"') => out.push_str(&serde_json::to_string(&serde_json::from_str::<String>(text)?)?),
        _ => out.push_str(text),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_sorts_keys_and_keeps_numbers() {
        let text =
            "{\"b\": [1e400, 12345678901234567890123, 1.0],\n \"a\": {\"z\": \"caf\\u00e9\", \"y\": null}}";
        assert_eq!(
            canonical(text).unwrap(),
            r#"{"a":{"y":null,"z":"café"},"b":[1e400,12345678901234567890123,1.0]}"#
        );
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
        assert!(canonical(&deep).is_err());
    }

    #[test]
    fn raw_json_survives_a_round_trip() {
        let raw = RawJson::parse("{\"z\":1e400,\"a\":1}").unwrap();
        assert_eq!(serde_json::to_string(&raw).unwrap(), raw.as_str());
    }
}
