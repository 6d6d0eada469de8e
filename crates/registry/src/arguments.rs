//! The check of a call's arguments before any upstream hears of it.
//!
//! Owns the structure only: names that the schema does not know, names that it asks for. Types and values are
//! the upstream's business; the arguments themselves are never rewritten, so big numbers stay as they are.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;

use crate::{RawJson, Tool};

/// Names in one sentence; more would bury the point.
const MAX_NAMED: usize = 10;
/// Keywords beside `properties` that may admit further names.
const OPENING: [&str; 12] = [
    "$ref",
    "$dynamicRef",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "then",
    "else",
    "not",
    "patternProperties",
    "dependentSchemas",
    "dependencies",
];

/// What is wrong with the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The tool has no such parameters.
    Unknown(Vec<String>),
    /// The tool asks for these.
    Missing(Vec<String>),
    /// The arguments are no JSON object.
    NotAnObject,
}

/// Which names a tool's schema knows and asks for. Read once and kept, it spares every call a pass over the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `None` when the schema does not say.
    known: Option<BTreeSet<String>>,
    /// Sorted, and only such as are known.
    required: Vec<String>,
    /// Whether there may be names beside the known ones.
    open: bool,
}

/// Checks the names in a call's arguments; absent and `null` are no arguments.
pub fn check(tool: &Tool, arguments: Option<&str>) -> Result<(), Vec<Problem>> {
    Parameters::of(&tool.input_schema).check(arguments)
}

/// One sentence for the caller.
pub fn describe(name: &str, problems: &[Problem]) -> String {
    let reasons: Vec<String> = problems
        .iter()
        .map(|problem| match problem {
            Problem::Unknown(names) => format!("unknown argument(s) {}", listed(names)),
            Problem::Missing(names) => format!("missing required argument(s) {}", listed(names)),
            Problem::NotAnObject => "the arguments are not a JSON object".to_owned(),
        })
        .collect();
    format!("Tool '{name}' cannot take these arguments: {}.", reasons.join("; "))
}

impl Parameters {
    /// Reads the top level of an input schema; what is malformed says nothing.
    pub fn of(schema: &RawJson) -> Self {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(schema.as_str()).unwrap_or_default();
        let known: Option<BTreeSet<String>> = members
            .get("properties")
            .and_then(|raw| keys(raw.get()))
            .map(|keys| keys.into_iter().map(Cow::into_owned).collect());
        let required = members
            .get("required")
            .and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok())
            .into_iter()
            .flatten()
            .filter_map(|raw| serde_json::from_str::<String>(raw.get()).ok())
            // A required name that no property describes is a slip in the schema; nobody could fill it in.
            .filter(|name| known.as_ref().is_some_and(|known| known.contains(name)));
        let required = required.collect::<BTreeSet<_>>().into_iter().collect();
        let declared_open = ["additionalProperties", "unevaluatedProperties"]
            .iter()
            .any(|keyword| members.get(*keyword).is_some_and(|raw| raw.get() != "false"));
        let open = declared_open || OPENING.iter().any(|keyword| members.contains_key(*keyword));
        Self { known, required, open }
    }

    /// Checks the names in a call's arguments; absent and `null` are no arguments.
    pub fn check(&self, arguments: Option<&str>) -> Result<(), Vec<Problem>> {
        let given = match arguments.map(str::trim_ascii) {
            None | Some("null") => Vec::new(),
            Some(text) => keys(text).ok_or_else(|| vec![Problem::NotAnObject])?,
        };
        let Some(known) = &self.known else { return Ok(()) };
        let mut problems = Vec::new();
        if !self.open {
            let unknown: BTreeSet<&str> =
                given.iter().map(|name| &**name).filter(|name| !known.contains(*name)).collect();
            if !unknown.is_empty() {
                problems.push(Problem::Unknown(unknown.into_iter().map(ToOwned::to_owned).collect()));
            }
        }
        let is_missing = |name: &&String| !given.iter().any(|given| given == *name);
        let missing: Vec<String> = self.required.iter().filter(is_missing).cloned().collect();
        if !missing.is_empty() {
            problems.push(Problem::Missing(missing));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// The keys of an object, as often as they stand there; its values are not read, so that no number can be too big.
fn keys(text: &str) -> Option<Vec<Cow<'_, str>>> {
    struct Keys;
    impl<'de> Visitor<'de> for Keys {
        type Value = Vec<Cow<'de, str>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut keys = Vec::new();
            while let Some((Key(key), IgnoredAny)) = map.next_entry()? {
                keys.push(key);
            }
            Ok(keys)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let keys = deserializer.deserialize_map(Keys).ok()?;
    deserializer.end().ok()?;
    Some(keys)
}

/// A key that is copied only where it is written with escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn listed(names: &[String]) -> String {
    let mut text: Vec<String> = names.iter().take(MAX_NAMED).map(|name| format!("'{name}'")).collect();
    if names.len() > MAX_NAMED {
        text.push(format!("and {} more", names.len() - MAX_NAMED));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::a_tool;

    fn tool(schema: &str) -> Tool {
        Tool { input_schema: RawJson::parse(schema).unwrap(), ..a_tool("t") }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn unknown_and_missing_names_are_reported_together() {
        let tool = tool(r#"{"properties":{"text":{},"count":{},"opt":{}},"required":["text","count"]}"#);
        assert_eq!(check(&tool, Some(r#"{"text":1,"count":null}"#)), Ok(()));
        let problems = check(&tool, Some(r#"{"txt":"x"}"#)).unwrap_err();
        assert_eq!(
            problems,
            [Problem::Unknown(names(&["txt"])), Problem::Missing(names(&["count", "text"]))]
        );
        assert_eq!(
            describe("t", &problems),
            "Tool 't' cannot take these arguments: unknown argument(s) 'txt'; \
             missing required argument(s) 'count', 'text'."
        );
    }

    #[test]
    fn no_arguments_are_an_empty_object() {
        let none = tool(r#"{"type":"object","properties":{}}"#);
        for arguments in [None, Some("null"), Some(" {} ")] {
            assert_eq!(check(&none, arguments), Ok(()));
        }
        assert_eq!(check(&none, Some(r#"{"a":1}"#)), Err(vec![Problem::Unknown(names(&["a"]))]));
        for arguments in ["[]", "5", "{"] {
            assert_eq!(check(&none, Some(arguments)), Err(vec![Problem::NotAnObject]));
        }
    }

    #[test]
    fn an_open_schema_takes_any_name() {
        for schema in [
            r#"{"type":"object"}"#,
            r#"{"properties":["a"]}"#,
            r#"{"properties":{"a":{}},"additionalProperties":true}"#,
            r#"{"properties":{"a":{}},"additionalProperties":{"type":"string"}}"#,
            r#"{"properties":{"a":{}},"patternProperties":{"^x":{}}}"#,
            r#"{"properties":{"a":{}},"allOf":[{"properties":{"b":{}}}]}"#,
        ] {
            assert_eq!(check(&tool(schema), Some(r#"{"b":1}"#)), Ok(()), "{schema}");
        }
        let closed = tool(r#"{"properties":{"a":{}},"additionalProperties":false}"#);
        assert!(check(&closed, Some(r#"{"b":1}"#)).is_err());
    }

    #[test]
    fn what_a_schema_requires_by_mistake_is_not_asked_for() {
        assert_eq!(
            check(&tool(r#"{"properties":{"a":{}},"required":["ghost","a"]}"#), Some(r#"{"a":1}"#)),
            Ok(())
        );
        assert_eq!(check(&tool(r#"{"properties":{"a":{}},"required":"a"}"#), Some("{}")), Ok(()));
        let mixed = tool(r#"{"properties":{"a":{},"b":{}},"required":[1,"b","b"]}"#);
        assert_eq!(check(&mixed, Some("{}")), Err(vec![Problem::Missing(names(&["b"]))]));
    }

    #[test]
    fn numbers_beyond_a_double_are_not_looked_at() {
        let tool = tool(r#"{"properties":{"n":{"maximum":1e400}}}"#);
        assert_eq!(check(&tool, Some(r#"{"n":123456789012345678901234567890,"n":1e400}"#)), Ok(()));
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let many = (0..15).map(|i| i.to_string()).collect();
        assert!(describe("t", &[Problem::Unknown(many)]).ends_with("'9', and 5 more."));
    }
}
