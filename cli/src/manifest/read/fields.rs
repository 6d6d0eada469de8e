//! The fields of one map: each is taken once, and what is left over or of the wrong kind is a mistake.

use super::super::yaml::{Node, Value};
use super::super::{Mistake, Place};
use super::checked_globs;

/// A map being read.
pub(super) struct Fields<'a, 'm> {
    file: &'a Place,
    what: &'a str,
    line: usize,
    is_map: bool,
    entries: Vec<(&'a str, &'a Node)>,
    pub(super) mistakes: &'m mut Vec<Mistake>,
}

impl<'a, 'm> Fields<'a, 'm> {
    /// The map of a node. Keys that are unknown or repeated are told at once.
    pub(super) fn new(
        node: &'a Node,
        file: &'a Place,
        what: &'a str,
        known: &[&str],
        mistakes: &'m mut Vec<Mistake>,
    ) -> Self {
        let is_map = matches!(node.value, Value::Map(_));
        let mut fields = Self { file, what, line: node.line, is_map, entries: Vec::new(), mistakes };
        let Value::Map(entries) = &node.value else {
            let among = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            fields.wrong(node.line, shape(what, &format!("a map with keys among {among}"), node));
            return fields;
        };
        for (key, node) in entries {
            if !known.contains(&key.name.as_str()) {
                let near = known.iter().find(|known| is_near(known, &key.name));
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                fields.wrong(key.line, format!("{what} has no key `{}`{hint}", key.name));
            } else if fields.entries.iter().any(|(name, _)| *name == key.name) {
                fields.wrong(key.line, format!("`{}` is given twice", key.name));
            } else {
                fields.entries.push((&key.name, node));
            }
        }
        fields
    }

    /// Notes a mistake.
    pub(super) fn wrong(&mut self, line: usize, reason: String) {
        self.mistakes.push(self.file.at(line).mistake(reason));
    }

    /// A field, whatever it holds.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, node)| *node)
    }

    /// A text and its line.
    pub(super) fn text(&mut self, key: &str) -> Option<(String, usize)> {
        let node = self.take(key)?;
        match &node.value {
            Value::Null => None,
            Value::Text(text) => Some((text.clone(), node.line)),
            _ => {
                self.wrong(node.line, shape(&format!("`{key}`"), "a text", node));
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, key: &str) -> Option<(String, usize)> {
        let is_missing = self.take(key).is_none_or(|node| match &node.value {
            Value::Null => true,
            Value::Text(text) => text.trim().is_empty(),
            _ => false,
        });
        if is_missing {
            // What is no map at all was told as such.
            if self.is_map {
                self.wrong(self.line, format!("{} needs `{key}`", self.what));
            }
            return None;
        }
        self.text(key)
    }

    /// One of two words; the first where nothing is said.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: [(&str, T); 2]) -> T {
        let [first, second] = choices;
        match self.text(key) {
            None => first.1,
            Some((text, _)) if text == first.0 => first.1,
            Some((text, _)) if text == second.0 => second.1,
            Some((_, line)) => {
                self.wrong(line, format!("`{key}` is `{}` or `{}`", first.0, second.0));
                first.1
            }
        }
    }

    /// A list of globs; nothing where nothing is said.
    pub(super) fn globs(&mut self, key: &str) -> Option<Vec<String>> {
        let node = self.take(key).filter(|node| node.value != Value::Null)?;
        Some(checked_globs(&format!("`{key}`"), node, self.file, self.mistakes))
    }

    /// The items of a list.
    pub(super) fn list(&mut self, key: &str, node: &'a Node) -> &'a [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => {
                self.wrong(node.line, shape(&format!("`{key}`"), "a list", node));
                &[]
            }
        }
    }
}

/// Texts in a list.
pub(super) fn name_list(what: &str, node: &Node, file: &Place, mistakes: &mut Vec<Mistake>) -> Vec<String> {
    let Value::List(items) = &node.value else {
        mistakes.push(file.at(node.line).mistake(shape(what, "a list of globs", node)));
        return Vec::new();
    };
    let mut texts = Vec::new();
    for item in items {
        match &item.value {
            Value::Text(text) => texts.push(text.clone()),
            _ => {
                mistakes.push(file.at(item.line).mistake(shape(
                    &format!("a glob of {what}"),
                    "a text",
                    item,
                )));
            }
        }
    }
    texts
}

/// "`x` must be a list, not a text".
pub(super) fn shape(what: &str, wanted: &str, found: &Node) -> String {
    let found = match &found.value {
        Value::Null => "nothing",
        Value::Text(_) => "a text",
        Value::Bare(_) => "a number or truth value: put it in quotes if it is text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    };
    format!("{what} must be {wanted}, not {found}")
}

/// Whether one is most likely the other, misspelled.
fn is_near(known: &str, typed: &str) -> bool {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let (known, typed) = (plain(known), plain(typed));
    known == typed || known.starts_with(&typed) || typed.starts_with(&known)
}
