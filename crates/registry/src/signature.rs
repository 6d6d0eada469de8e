//! A tool as one line that a model can read at a glance: `search(query: str, limit: int = None) -> any`.
//!
//! Owns the rendering of schemas as types. Never fails: what it cannot express is `any`, and what would not end
//! (cycles, endless alternatives) is cut to that as well.

use std::collections::HashSet;

use crate::sanitize::{is_invisible, is_unprintable};
use crate::schema::{self, Limits, Node};
use crate::{RawJson, Tool};

/// Subschemas parts per schema; whatever comes after is `any`.
const MAX_RENDERED: usize = 256;
/// Values shown in a `Literal`; a longer list shows its type.
const MAX_LITERALS: usize = 16;
/// Longest `Literal`, in bytes.
const MAX_LITERAL_BYTES: usize = 400;
/// Longest name of a type that is none of JSON Schema's.
const MAX_TYPE_NAME_BYTES: usize = 32;
/// Longest list of parameters, in bytes; what comes after is an ellipsis.
const MAX_PARAMETERS_BYTES: usize = 8 << 10;
/// Longest name of a property of a parameter; a type with a longer one is `dict`.
const MAX_KEY_BYTES: usize = 64;
const ANY: &str = "any";

/// Renders a tool under a name, with its description on the second line.
pub fn render(name: &str, tool: &Tool) -> String {
    let parameters = parse(&tool.input_schema).map_or_else(|| "...".to_owned(), |root| parameters(&root));
    let returns = tool.output_schema.as_ref().and_then(parse);
    let returns = returns.map_or_else(|| ANY.to_owned(), |root| Renderer::new(&root).type_of(&root));
    let mut out = format!("{name}({parameters}) -> {returns}");
    if !tool.description.is_empty() {
        out.push_str("\n  ");
        out.push_str(&tool.description);
    }
    out
}

fn parse(raw: &RawJson) -> Option<Node> {
    Node::parse(raw.as_str(), Limits::default().max_nodes).ok()
}

/// The names of a tool's parameters in the order in which its signature has them.
pub fn parameter_names(tool: &Tool) -> Vec<String> {
    let Some(root) = parse(&tool.input_schema) else { return Vec::new() };
    let mut renderer = Renderer::new(&root);
    let (required, optional) = in_order(renderer.target(&root));
    required.iter().chain(&optional).map(|(name, _)| (*name).to_owned()).collect()
}

/// The parameters of one schema: name and schema of each.
type Named<'a> = Vec<(&'a str, &'a Node)>;

/// Required parameters in the schema's order, then optional ones by name.
fn in_order(shape: &Node) -> (Named<'_>, Named<'_>) {
    let Some(properties) = shape.get("properties").and_then(Node::members) else {
        return (Vec::new(), Vec::new());
    };
    let required = shape.get("required").and_then(Node::items).unwrap_or_default();
    let mut seen = HashSet::new();
    let first: Named<'_> = required
        .iter()
        .filter_map(Node::as_text)
        .filter_map(|name| Some((name, properties.get(name)?)))
        .filter(|(name, _)| seen.insert(*name))
        .collect();
    let then = properties.iter().filter(|(name, _)| !seen.contains(name.as_str()));
    let then = then.map(|(name, property)| (name.as_str(), property)).collect();
    (first, then)
}

fn parameters(root: &Node) -> String {
    let mut renderer = Renderer::new(root);
    let (first, then) = in_order(renderer.target(root));
    let all = first.iter().map(|(name, property)| (*name, *property, ""));
    let all = all.chain(then.iter().map(|(name, property)| (*name, *property, " = None")));
    let mut out = String::new();
    for (name, property, default) in all {
        if !out.is_empty() {
            out.push_str(", ");
        }
        if out.len() > MAX_PARAMETERS_BYTES || name.len() > MAX_PARAMETERS_BYTES {
            out.push_str("...");
            break;
        }
        let part = format!("{}: {}{default}", parameter_name(name), renderer.type_of(property));
        out.push_str(&part);
    }
    out
}

/// A name as it is sent; quoted where it could be taken for anything but a name.
fn parameter_name(name: &str) -> String {
    let is_plain = |c: char| !("():,=>\"\\".contains(c) || is_unprintable(c));
    if name.is_empty() || name.len() > MAX_KEY_BYTES || !name.chars().all(is_plain) {
        quoted(name)
    } else {
        name.to_owned()
    }
}

struct Renderer<'a> {
    root: &'a Node,
    /// How many more subschemas may be parts.
    left: usize,
    /// References being followed, to notice cycles.
    following: Vec<&'a str>,
}

impl<'a> Renderer<'a> {
    fn new(root: &'a Node) -> Self {
        Self { root, left: MAX_RENDERED, following: Vec::new() }
    }

    /// Where a chain of references ends.
    fn target(&mut self, mut schema: &'a Node) -> &'a Node {
        while let Some(next) = schema.text("$ref").and_then(|reference| schema::resolve(self.root, reference))
        {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            schema = next;
        }
        schema
    }

    fn type_of(&mut self, schema: &'a Node) -> String {
        let mut alternatives = Vec::new();
        self.collect(schema, &mut alternatives);
        if alternatives.is_empty() || alternatives.iter().any(|name| name == ANY) {
            return ANY.to_owned();
        }
        // `None` goes last, as people write it.
        alternatives.sort_by_key(|name| name == "None");
        alternatives.join(" | ")
    }

    /// Adds what a value may be; nothing twice.
    fn collect(&mut self, schema: &'a Node, into: &mut Vec<String>) {
        let mut add = |name: String| {
            if !into.contains(&name) {
                into.push(name);
            }
        };
        if self.left == 0 || schema.members().is_none() {
            return add(ANY.to_owned());
        }
        self.left -= 1;
        if let Some(literal) = literal_of(schema) {
            return add(literal);
        }
        if let Some(reference) = schema.text("$ref") {
            let next = schema::resolve(self.root, reference);
            let Some(next) = next.filter(|_| !self.following.contains(&reference)) else {
                return add(ANY.to_owned());
            };
            self.following.push(reference);
            self.collect(next, into);
            self.following.pop();
            return;
        }
        match schema.get("type") {
            Some(Node::Text(name)) => return add(self.named(name, schema)),
            Some(Node::Array(names)) => {
                let mut seen = HashSet::new();
                for name in names.iter().filter(|name| seen.insert(name.as_text())) {
                    add(name.as_text().map_or_else(|| ANY.to_owned(), |name| self.named(name, schema)));
                }
                return;
            }
            Some(_) => return add(ANY.to_owned()),
            None => {}
        }
        let union = ["anyOf", "oneOf"].iter().find_map(|keyword| schema.get(keyword)?.items());
        let only = schema.get("allOf").and_then(Node::items).filter(|parts| parts.len() == 1);
        match union.or(only) {
            Some(parts) => parts.iter().for_each(|part| self.collect(part, into)),
            None if schema.get("properties").is_some() => add(self.object(schema)),
            None => add(ANY.to_owned()),
        }
    }

    fn named(&mut self, name: &str, schema: &'a Node) -> String {
        match name {
            "string" => "str".to_owned(),
            "integer" => "int".to_owned(),
            "number" => "float".to_owned(),
            "boolean" => "bool".to_owned(),
            "null" => "None".to_owned(),
            "array" => {
                let items = schema.get("items").map_or_else(|| ANY.to_owned(), |items| self.type_of(items));
                format!("list[{items}]")
            }
            "object" => self.object(schema),
            // Some servers invent types such as `file`; the word helps, as long as it is one.
            other if is_word(other) => other.to_owned(),
            _ => ANY.to_owned(),
        }
    }

    fn object(&mut self, schema: &'a Node) -> String {
        let properties = schema.get("properties").and_then(Node::members);
        let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
            return "dict".to_owned();
        };
        if properties.len() > self.left || properties.keys().any(|key| key.len() > MAX_KEY_BYTES) {
            return "dict".to_owned();
        }
        let members: Vec<String> = properties
            .iter()
            .map(|(key, value)| format!("{}: {}", quoted(key), self.type_of(value)))
            .collect();
        format!("{{{}}}", members.join(", "))
    }
}

/// `Literal[…]` for a short list of plain values.
fn literal_of(schema: &Node) -> Option<String> {
    let constant = schema.get("const").map(std::slice::from_ref);
    let values = constant.or_else(|| schema.get("enum")?.items())?;
    if values.is_empty() || values.len() > MAX_LITERALS {
        return None;
    }
    let values = values.iter().map(plain).collect::<Option<Vec<_>>>()?.join(", ");
    (values.len() <= MAX_LITERAL_BYTES).then(|| format!("Literal[{values}]"))
}

fn plain(value: &Node) -> Option<String> {
    match value {
        Node::Text(text) => Some(quoted(text)),
        Node::Literal(text) => Some(match text.as_str() {
            "null" => "None".to_owned(),
            "true" => "True".to_owned(),
            "false" => "False".to_owned(),
            number => number.to_owned(),
        }),
        Node::Object(_) | Node::Array(_) => None,
    }
}

/// As a JSON string, with nothing in it that would not show.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let mut invisible: Vec<char> = json.chars().filter(|c| is_invisible(*c)).collect();
    invisible.dedup();
    invisible.into_iter().fold(json, |json, c| json.replace(c, &format!("\\u{:04x}", u32::from(c))))
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_TYPE_NAME_BYTES
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests;
