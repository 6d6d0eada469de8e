//! The check of a call's arguments before any upstream hears of it.
//!
//! Owns the structure only: names that the schema does not know, names that it asks for. Types and values are
//! the upstream's business; the arguments themselves are never rewritten, so big numbers stay as they are.

use std::collections::{BTreeMap, BTreeSet};

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

/// The part of a schema that says which names there are.
struct Shape {
    /// `None` when the schema does not say.
    properties: Option<BTreeSet<String>>,
    required: Vec<String>,
    open: bool,
}

/// Checks the names in a call's arguments; absent and `null` are no arguments.
pub fn check(tool: &Tool, arguments: Option<&str>) -> Result<(), Vec<Problem>> {
    let given = match arguments.map(str::trim) {
        None | Some("null") => BTreeSet::new(),
        Some(text) => keys(text).ok_or_else(|| vec![Problem::NotAnObject])?,
    };
    let Shape { properties: Some(properties), required, open } = Shape::of(&tool.input_schema) else {
        return Ok(());
    };
    let unknown: Vec<String> = given.difference(&properties).cloned().collect();
    // A required name that no property describes is a slip in the schema; nobody could fill it in.
    let mut missing: Vec<String> =
        required.into_iter().filter(|name| properties.contains(name) && !given.contains(name)).collect();
    missing.sort();
    missing.dedup();
    let mut problems = Vec::new();
    if !unknown.is_empty() && !open {
        problems.push(Problem::Unknown(unknown));
    }
    if !missing.is_empty() {
        problems.push(Problem::Missing(missing));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
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

impl Shape {
    /// Reads the top level only; what is malformed says nothing.
    fn of(schema: &RawJson) -> Self {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(schema.as_str()).unwrap_or_default();
        let properties = members.get("properties").and_then(|raw| keys(raw.get()));
        let required = members
            .get("required")
            .and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok())
            .into_iter()
            .flatten()
            .filter_map(|raw| serde_json::from_str(raw.get()).ok())
            .collect();
        let declared_open = ["additionalProperties", "unevaluatedProperties"]
            .iter()
            .any(|keyword| members.get(*keyword).is_some_and(|raw| raw.get() != "false"));
        let open = declared_open || OPENING.iter().any(|keyword| members.contains_key(*keyword));
        Self { properties, required, open }
    }
}

/// The keys of an object; its values are not read, so that no number can be too big.
fn keys(text: &str) -> Option<BTreeSet<String>> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    Some(members.into_keys().collect())
}

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
