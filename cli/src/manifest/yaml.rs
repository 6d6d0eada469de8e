//! YAML as a tree whose every part knows its line.
//!
//! Owns what is accepted of YAML: plain documents, without tags, anchors and aliases, so that a file means what
//! it shows and cannot grow while it is read.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

/// Deepest nesting; a manifest needs five levels.
const MAX_DEPTH: usize = 16;

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Where it begins, from 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing at all, `~` or `null`.
    Null,
    Text(String),
    /// An unquoted scalar that other readers of YAML take for a number or a truth value.
    Bare(String),
    List(Vec<Node>),
    /// In the order of the file; a key may occur twice, which whoever reads it must refuse.
    Map(Vec<(Key, Node)>),
}

/// A key and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) line: usize,
    pub(crate) name: String,
}

/// Why a text cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    last_line: usize,
}

/// Reads every document of a text.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Malformed> {
    // A text that ends too early is said to be wrong behind its end, where nobody can look.
    let last = text.lines().count().max(1);
    read(text).map_err(|malformed| Malformed { line: malformed.line.clamp(1, last), ..malformed })
}

fn read(text: &str) -> Result<Vec<Node>, Malformed> {
    let mut reader = Reader { events: Parser::new_from_str(text), last_line: 1 };
    let mut documents = Vec::new();
    while let Some((event, line)) = reader.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            event => documents.push(reader.node(event, line, 0)?),
        }
    }
    Ok(documents)
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, usize)>, Malformed> {
        let Some(next) = self.events.next() else { return Ok(None) };
        let (event, span): (Event<'a>, Span) = next.map_err(|error: ScanError| Malformed {
            line: error.marker().line(),
            reason: format!("is no YAML: {}", error.info()),
        })?;
        self.last_line = span.start.line().max(1);
        Ok(Some((event, self.last_line)))
    }

    /// The next event inside something that has begun.
    fn inner(&mut self) -> Result<(Event<'a>, usize), Malformed> {
        let line = self.last_line;
        self.next()?.ok_or_else(|| Malformed { line, reason: "ends in the middle".to_owned() })
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, Malformed> {
        let refused = |reason: &str| Err(Malformed { line, reason: reason.to_owned() });
        if depth > MAX_DEPTH {
            return refused("is nested too deeply");
        }
        let value = match event {
            Event::Alias(_) => return refused("aliases (`*name`) are not supported: write the value out"),
            Event::Scalar(.., anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag)
                if anchor > 0 || tag.is_some() =>
            {
                return refused("anchors (`&name`) and tags (`!name`) are not supported");
            }
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            _ => return refused("something is missing here"),
        };
        Ok(Node { line, value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.inner()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, line) => items.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut entries = Vec::new();
        loop {
            let (event, line) = self.inner()?;
            let name = match event {
                Event::MappingEnd => return Ok(Value::Map(entries)),
                Event::Scalar(text, _, 0, None) => text.into_owned(),
                _ => return Err(Malformed { line, reason: "a key must be a plain text".to_owned() }),
            };
            let (event, value_line) = self.inner()?;
            let value = self.node(event, value_line, depth + 1)?;
            entries.push((Key { line, name }, value));
        }
    }
}

/// Quoted is text. Unquoted follows the core schema, as far as a manifest can tell the difference.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Value::Bare(text.to_ascii_lowercase()),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.parse::<f64>().is_ok() =>
        {
            Value::Bare(text.to_owned())
        }
        _ => Value::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_knows_its_line() {
        let text = "# head\na: 1\nb:\n  - x\n  - 'true'\n---\nc: {d: }\n";
        let [first, second] = &documents(text).unwrap()[..] else { panic!() };
        let Value::Map(entries) = &first.value else { panic!() };
        let keys: Vec<_> = entries.iter().map(|(key, node)| (key.line, &*key.name, node.line)).collect();
        assert_eq!(keys, [(2, "a", 2), (3, "b", 4)]);
        let text = |line, text: &str| Node { line, value: Value::Text(text.into()) };
        assert_eq!(entries[0].1.value, Value::Bare("1".into()));
        assert_eq!(entries[1].1.value, Value::List(vec![text(4, "x"), text(5, "true")]));
        let Value::Map(entries) = &second.value else { panic!() };
        let Value::Map(entries) = &entries[0].1.value else { panic!() };
        assert_eq!((entries[0].0.line, &entries[0].1.value), (7, &Value::Null));
    }

    #[test]
    fn what_is_no_plain_yaml_is_told_with_its_line() {
        let deep = format!("a: {}", "[".repeat(MAX_DEPTH + 2));
        for (text, line, reason) in [
            ("a: [1\nb: 2", 2, "is no YAML"),
            ("a: 1\nb: 2\n\tc: 3", 2, "is no YAML"),
            ("a: &x 1\nb: *x", 1, "anchors"),
            ("a: 1\nb: !!str 2", 2, "tags"),
            ("? [a]\n: 1", 1, "key"),
            (&deep, 1, "deep"),
        ] {
            let malformed = documents(text).unwrap_err();
            assert_eq!(malformed.line, line, "{text:?}: {malformed:?}");
            assert!(malformed.reason.contains(reason), "{text:?}: {malformed:?}");
        }
    }

    #[test]
    fn empty_texts_hold_no_document() {
        assert_eq!(documents("").unwrap(), []);
        assert_eq!(documents("# only a comment\n").unwrap(), []);
    }
}
