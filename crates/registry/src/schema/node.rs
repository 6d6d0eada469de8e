//! A schema as a tree that keeps numbers as they were written.
//!
//! `serde_json::Value` refuses numbers beyond `f64` and stops at 128 levels; neither makes a tool unusable.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::json;

/// One value of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Object(BTreeMap<String, Self>),
    Array(Vec<Self>),
    Text(String),
    /// A number, boolean or null in its own spelling.
    Literal(String),
}

/// Why a text is no tree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("is not valid JSON")]
    Syntax(#[from] serde_json::Error),
    #[error("is nested deeper than {} levels", json::MAX_DEPTH)]
    TooDeep,
    #[error("has more than {0} values")]
    TooMany(usize),
}

impl Node {
    /// Reads a document of at most that many values.
    pub(crate) fn parse(text: &str, max_nodes: usize) -> Result<Self, Error> {
        let mut left = max_nodes;
        Self::read(serde_json::from_str(text)?, 0, &mut left).map_err(|error| match error {
            Error::TooMany(_) => Error::TooMany(max_nodes),
            other => other,
        })
    }

    fn read(raw: &RawValue, depth: usize, left: &mut usize) -> Result<Self, Error> {
        if depth > json::MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        *left = left.checked_sub(1).ok_or(Error::TooMany(0))?;
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let mut members = BTreeMap::new();
                for (key, value) in serde_json::from_str::<BTreeMap<String, &RawValue>>(text)? {
                    members.insert(key, Self::read(value, depth + 1, left)?);
                }
                Self::Object(members)
            }
            Some(b'[') => {
                let mut items = Vec::new();
                for item in serde_json::from_str::<Vec<&RawValue>>(text)? {
                    items.push(Self::read(item, depth + 1, left)?);
                }
                Self::Array(items)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            _ => Self::Literal(text.to_owned()),
        })
    }

    pub(crate) fn members(&self) -> Option<&BTreeMap<String, Self>> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    pub(crate) fn items(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// A member of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.members()?.get(key)
    }

    /// A member of an object that is a string.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }
}
