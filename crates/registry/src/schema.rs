//! Rules for a tool's schema: bounded, and with references that lead somewhere.
//!
//! Owns what makes a schema acceptable. Deliberately lenient: arguments are judged by the upstream, so a sloppy
//! schema costs nobody their tool; only what could hurt a reader of it (endless, huge, pointing to another
//! address) is refused.

mod node;

use std::collections::HashSet;

pub(crate) use node::Node;

use crate::RawJson;

/// How large a schema may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of objects and arrays; a wrapper that only adds `null` does not count.
    pub max_depth: usize,
    /// Longest text, in bytes.
    pub max_bytes: usize,
    /// Most values in the document.
    pub max_nodes: usize,
}

/// Keywords whose members are schemas under names of their own.
const NAMED_SCHEMAS: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
/// Keywords that hold data, in which nothing is a reference.
const DATA: [&str; 5] = ["enum", "const", "default", "examples", "example"];

impl Default for Limits {
    fn default() -> Self {
        Self { max_depth: 64, max_bytes: 256 * 1024, max_nodes: 20_000 }
    }
}

/// Checks a schema; the error says in words what is wrong with it, without quoting it.
pub fn check(raw: &RawJson, limits: &Limits) -> Result<(), String> {
    let Limits { max_depth, max_bytes, max_nodes } = *limits;
    if raw.as_str().len() > max_bytes {
        return Err(format!("the schema is longer than {max_bytes} bytes"));
    }
    let root = Node::parse(raw.as_str(), max_nodes).map_err(|e| format!("the schema {e}"))?;
    if root.members().is_none() {
        return Err("the schema is not a JSON object".to_owned());
    }
    if depth(&root) > max_depth {
        return Err(format!("the schema is nested deeper than {max_depth} levels"));
    }
    let mut anchors = HashSet::new();
    visit(&root, &mut |schema| {
        anchors.extend(["$id", "id", "$anchor", "$dynamicAnchor"].iter().filter_map(|key| schema.text(key)));
    });
    let mut problem = None;
    visit(&root, &mut |schema| {
        for reference in ["$ref", "$dynamicRef"].iter().filter_map(|key| schema.text(key)) {
            let anchored = anchors.contains(reference.strip_prefix('#').unwrap_or(reference));
            if anchored || resolve(&root, reference).is_some() {
                continue;
            }
            problem = Some(if reference.starts_with('#') {
                "the schema has a local `$ref` that leads nowhere"
            } else {
                "the schema has a `$ref` to another document"
            });
        }
    });
    problem.map_or(Ok(()), |problem| Err(problem.to_owned()))
}

/// Follows a local reference (`#` or `#/…`) one step.
pub(crate) fn resolve<'a>(root: &'a Node, reference: &str) -> Option<&'a Node> {
    let pointer = percent_decoded(reference.strip_prefix('#')?)?;
    if pointer.is_empty() {
        return Some(root);
    }
    pointer.strip_prefix('/')?.split('/').try_fold(root, |node, step| {
        let step = step.replace("~1", "/").replace("~0", "~");
        match node {
            Node::Object(members) => members.get(&step),
            Node::Array(items) => items.get(step.parse::<usize>().ok()?),
            Node::Text(_) | Node::Literal(_) => None,
        }
    })
}

/// Calls `f` with every subschema, the root first. Recursion is bounded: [`Node::parse`] bounds the depth.
fn visit<'a>(schema: &'a Node, f: &mut dyn FnMut(&'a Node)) {
    match schema {
        Node::Object(members) => {
            f(schema);
            for (key, value) in members {
                if NAMED_SCHEMAS.contains(&key.as_str()) {
                    value.members().into_iter().flatten().for_each(|(_, schema)| visit(schema, f));
                } else if !DATA.contains(&key.as_str()) {
                    visit(value, f);
                }
            }
        }
        Node::Array(items) => items.iter().for_each(|item| visit(item, f)),
        Node::Text(_) | Node::Literal(_) => {}
    }
}

fn depth(node: &Node) -> usize {
    if let Some(inner) = optional_of(node) {
        return depth(inner);
    }
    match node {
        Node::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Node::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Node::Text(_) | Node::Literal(_) => 0,
    }
}

/// The `X` of `{"anyOf": [X, {"type": "null"}]}`, in either order: generators wrap every optional parameter so.
fn optional_of(node: &Node) -> Option<&Node> {
    let [one, other] = node.get("anyOf")?.items()? else { return None };
    let is_null = |node: &Node| {
        node.members().is_some_and(|members| members.len() == 1) && node.text("type") == Some("null")
    };
    if is_null(other) { Some(one) } else { is_null(one).then_some(other) }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests;
