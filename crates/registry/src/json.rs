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
pub const MAX_DEPTH: usize = 128;

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
#[derive(Clone)]
pub struct RawJson(Arc<RawValue>);

impl RawJson {
    /// Checks that the text is one JSON document and keeps it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self(serde_json::from_str::<Box<RawValue>>(text)?.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads the document into a value; numbers beyond `f64` do not survive this.
    pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }
}

impl From<&RawValue> for RawJson {
    fn from(raw: &RawValue) -> Self {
        Self(raw.to_owned().into())
    }
}

impl From<Box<RawValue>> for RawJson {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw.into())
    }
}

impl From<&serde_json::Value> for RawJson {
    #[expect(clippy::expect_used, reason = "a value has string keys and is written to memory")]
    fn from(value: &serde_json::Value) -> Self {
        serde_json::value::to_raw_value(value).expect("a value is JSON").into()
    }
}

impl PartialEq for RawJson {
    /// The same text.
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RawJson {}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer)?.into()))
    }
}

/// Writes a document with sorted keys and no white space; numbers keep their spelling, a repeated key its last value.
///
/// Costs one pass over the text, and one copy of each object per level above it.
pub fn canonical(text: &str) -> Result<String, Error> {
    let raw: &RawValue = serde_json::from_str(text)?;
    let mut out = String::with_capacity(text.len());
    Scanner { rest: raw.get() }.value(&mut out, 0)?;
    Ok(out)
}

/// Walks a document that is known to be valid JSON.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn value(&mut self, out: &mut String, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        match self.peek() {
            Some(b'{') => self.object(out, depth),
            Some(b'[') => self.array(out, depth),
            Some(b'"') => {
                let text = serde_json::to_string(&self.text()?)?;
                out.push_str(&text);
                Ok(())
            }
            _ => {
                let end = self.rest.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(self.rest.len());
                out.push_str(self.take(end));
                Ok(())
            }
        }
    }

    fn object(&mut self, out: &mut String, depth: usize) -> Result<(), Error> {
        let mut members: BTreeMap<String, String> = BTreeMap::new();
        self.take(1);
        while self.peek().is_some_and(|byte| byte != b'}') {
            let key = self.text()?;
            self.peek();
            self.take(1); // the colon
            let mut value = String::new();
            self.value(&mut value, depth + 1)?;
            members.insert(key, value);
            if self.peek() == Some(b',') {
                self.take(1);
            }
        }
        self.take(1);
        out.push('{');
        for (i, (key, value)) in members.into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            out.push_str(&serde_json::to_string(&key)?);
            out.push(':');
            out.push_str(&value);
        }
        out.push('}');
        Ok(())
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Result<(), Error> {
        self.take(1);
        out.push('[');
        let mut first = true;
        while self.peek().is_some_and(|byte| byte != b']') {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            self.value(out, depth + 1)?;
            if self.peek() == Some(b',') {
                self.take(1);
            }
        }
        self.take(1);
        out.push(']');
        Ok(())
    }

    /// A string, decoded.
    fn text(&mut self) -> Result<String, Error> {
        self.peek();
        let mut escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let token = self.take(end.map_or(self.rest.len(), |end| end + 2));
        Ok(serde_json::from_str(token)?)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\r', '\t']);
        self.rest.bytes().next()
    }

    fn take(&mut self, len: usize) -> &'a str {
        let (head, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        head
    }
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
    fn every_kind_of_token_survives_and_a_repeated_key_counts_last() {
        let text = " { \"a\\\"]}\" : [ ] , \"k\":1, \"\\u0061b\":[ true , null,{ }, \"x,y\", -0.5e+3 ] ,\"k\": 2\n} ";
        assert_eq!(canonical(text).unwrap(), r#"{"a\"]}":[],"ab":[true,null,{},"x,y",-0.5e+3],"k":2}"#);
        for bad in ["", "{", "[1,]", "{\"a\"}", "nul"] {
            assert!(canonical(bad).is_err(), "{bad}");
        }
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
