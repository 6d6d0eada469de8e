//! Values of a program as JSON: the arguments of a call, and the result.
//!
//! Arguments are strict: a value that JSON does not have is a mistake that the program learns at once.
//! A result is lenient: what JSON does not have is written as Python writes it.

use std::fmt::{self, Write};

use monty_types::{DictPairs, MontyObject};
use serde_json::value::RawValue;

use crate::outcome::{Code, Failure, Limit, Value};

/// Levels of lists and objects within each other.
const MAX_DEPTH: usize = 100;

/// How the representation of something that was to be awaited begins.
pub(super) const UNAWAITED: &str = "<coroutine object";

/// The arguments of a call as one object, or what is wrong with them.
pub(super) fn arguments(named: &[(&str, &MontyObject)], max: usize) -> Result<Box<RawValue>, String> {
    let mut writer = Writer { out: Bounded::new(max), is_strict: true };
    let written =
        writer.object(named.iter().map(|(name, value)| (Ok((*name).to_owned()), *value)), MAX_DEPTH);
    written.map_err(|refusal| match refusal {
        Refusal::TooLarge => format!("the arguments are larger than {max} bytes"),
        Refusal::TooDeep => "the arguments are nested too deeply".to_owned(),
        Refusal::Unawaited => {
            "an argument was never awaited; write `await` before the call that makes it".to_owned()
        }
        Refusal::NotJson(what) => format!("{what} cannot be an argument"),
    })?;
    RawValue::from_string(writer.out.text).map_err(|error| error.to_string())
}

/// The value of a program as it is reported.
pub(super) fn result(value: &MontyObject, max: usize) -> Result<Value, Failure> {
    let mut text = Bounded::new(max);
    if !matches!(value, MontyObject::None) && write!(text, "{value}").is_err() {
        return Err(too_large(max));
    }
    let mut writer = Writer { out: Bounded::new(max), is_strict: false };
    match writer.value(value, MAX_DEPTH) {
        Ok(()) => {}
        Err(Refusal::TooLarge) => return Err(too_large(max)),
        Err(Refusal::Unawaited) => return Err(unawaited()),
        // Python can say it although JSON cannot.
        Err(Refusal::TooDeep | Refusal::NotJson(_)) => {
            writer.out = Bounded::new(max.saturating_mul(6).saturating_add(2));
            writer.string(&text.text).map_err(|_| too_large(max))?;
        }
    }
    let json = RawValue::from_string(writer.out.text).map_err(|error| {
        Failure::new(Code::RuntimeError, format!("the result cannot be written as JSON: {error}"))
    })?;
    Ok(Value { text: text.text, json })
}

fn too_large(max: usize) -> Failure {
    let mut failure = Failure::at_limit(Limit::Result, format!("the result is larger than {max} bytes"));
    failure.hint = Some("return less: select fields, count, or slice".to_owned());
    failure
}

fn unawaited() -> Failure {
    let mut failure = Failure::new(Code::RuntimeError, "the result was never awaited");
    failure.hint =
        Some("did you forget `await`? Calls of tools and of `async def` functions need it".to_owned());
    failure
}

/// Why something was not written.
enum Refusal {
    TooLarge,
    TooDeep,
    Unawaited,
    NotJson(String),
}

/// A text that takes up to a number of bytes.
struct Bounded {
    text: String,
    max: usize,
}

struct Writer {
    out: Bounded,
    is_strict: bool,
}

// ── Bounded ──

impl Bounded {
    fn new(max: usize) -> Self {
        Self { text: String::new(), max }
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.max.saturating_sub(self.text.len()) {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

// ── Refusal ──

impl From<fmt::Error> for Refusal {
    fn from(_: fmt::Error) -> Self {
        Self::TooLarge
    }
}

// ── Writer ──

impl Writer {
    fn value(&mut self, value: &MontyObject, depth: usize) -> Result<(), Refusal> {
        match value {
            MontyObject::None => Ok(self.out.write_str("null")?),
            MontyObject::Bool(value) => Ok(write!(self.out, "{value}")?),
            MontyObject::Int(value) => Ok(write!(self.out, "{value}")?),
            MontyObject::Float(value) if value.is_finite() => {
                let number = serde_json::Number::from_f64(*value).map(|number| number.to_string());
                Ok(self.out.write_str(&number.unwrap_or_default())?)
            }
            MontyObject::String(text) | MontyObject::Path(text) => self.string(text),
            MontyObject::List(items)
            | MontyObject::Tuple(items)
            | MontyObject::Set(items)
            | MontyObject::FrozenSet(items) => self.list(items, depth),
            MontyObject::NamedTuple { values, .. } => self.list(values, depth),
            MontyObject::Dict(pairs) => self.pairs(pairs, depth),
            MontyObject::ClassInstance(instance) => self.pairs(&instance.attrs, depth),
            MontyObject::Date(_) | MontyObject::DateTime(_) | MontyObject::Time(_) => {
                self.string(&value.to_string())
            }
            MontyObject::Repr(text) if text.starts_with(UNAWAITED) => Err(Refusal::Unawaited),
            _ if self.is_strict => Err(Refusal::NotJson(what(value).to_owned())),
            // Integers that no JSON reader would keep, bytes, functions, endless floats.
            _ => self.display(value),
        }
    }

    fn list(&mut self, items: &[MontyObject], depth: usize) -> Result<(), Refusal> {
        let within = depth.checked_sub(1).ok_or(Refusal::TooDeep)?;
        self.out.write_char('[')?;
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                self.out.write_char(',')?;
            }
            self.value(item, within)?;
        }
        Ok(self.out.write_char(']')?)
    }

    fn pairs(&mut self, pairs: &DictPairs, depth: usize) -> Result<(), Refusal> {
        let is_strict = self.is_strict;
        self.object(pairs.iter().map(|(key, value)| (name(key, is_strict), value)), depth)
    }

    fn object<'a>(
        &mut self,
        pairs: impl Iterator<Item = (Result<String, Refusal>, &'a MontyObject)>,
        depth: usize,
    ) -> Result<(), Refusal> {
        let within = depth.checked_sub(1).ok_or(Refusal::TooDeep)?;
        self.out.write_char('{')?;
        for (number, (name, value)) in pairs.enumerate() {
            if number > 0 {
                self.out.write_char(',')?;
            }
            self.string(&name?)?;
            self.out.write_char(':')?;
            self.value(value, within)?;
        }
        Ok(self.out.write_char('}')?)
    }

    fn string(&mut self, text: &str) -> Result<(), Refusal> {
        // Refused before it is copied.
        if text.len() > self.out.max.saturating_sub(self.out.text.len()) {
            return Err(Refusal::TooLarge);
        }
        let quoted = serde_json::to_string(text).map_err(|_| Refusal::TooLarge)?;
        Ok(self.out.write_str(&quoted)?)
    }

    /// As Python writes it, in quotes.
    fn display(&mut self, value: &MontyObject) -> Result<(), Refusal> {
        let mut text = Bounded::new(self.out.max);
        write!(text, "{value}")?;
        self.string(&text.text)
    }
}

/// The name of a member, as Python's own `json` makes it of a key.
fn name(key: &MontyObject, is_strict: bool) -> Result<String, Refusal> {
    match key {
        MontyObject::String(text) => Ok(text.clone()),
        MontyObject::Bool(value) => Ok(value.to_string()),
        MontyObject::None => Ok("null".to_owned()),
        MontyObject::Int(value) => Ok(value.to_string()),
        MontyObject::Float(value) => Ok(value.to_string()),
        _ if is_strict => Err(Refusal::NotJson(format!("a dict with {} as a key", what(key)))),
        other => {
            let mut text = Bounded::new(4096);
            write!(text, "{other}")?;
            Ok(text.text)
        }
    }
}

/// What to call something that JSON does not have.
fn what(value: &MontyObject) -> &'static str {
    match value {
        MontyObject::BigInt(_) => "an integer beyond 64 bits",
        MontyObject::Float(_) => "a float that is not finite",
        MontyObject::Bytes(_) => "bytes",
        MontyObject::Function { .. } | MontyObject::BuiltinFunction(_) => "a function",
        MontyObject::Type(_) => "a type",
        MontyObject::Exception { .. } => "an exception",
        MontyObject::Cycle(..) => "a value that contains itself",
        _ => "such a value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> MontyObject {
        MontyObject::String(value.to_owned())
    }

    #[test]
    fn a_result_is_written_twice() {
        let value = MontyObject::dict(vec![
            (
                text("a"),
                MontyObject::Tuple(vec![MontyObject::Int(1), MontyObject::None, MontyObject::Float(2.0)]),
            ),
            (MontyObject::Int(3), MontyObject::Bytes(b"x".to_vec())),
        ]);
        let result = result(&value, 1000).expect("a result");
        assert_eq!(result.text, "{'a': (1, None, 2.0), 3: b'x'}");
        assert_eq!(result.json.get(), r#"{"a":[1,null,2.0],"3":"b'x'"}"#);
    }

    #[test]
    fn arguments_are_json_or_refused() {
        let one = MontyObject::Int(1);
        assert_eq!(arguments(&[("q", &one)], 100).expect("arguments").get(), r#"{"q":1}"#);
        let bytes = MontyObject::Bytes(vec![0]);
        assert_eq!(arguments(&[("q", &bytes)], 100).expect_err("refused"), "bytes cannot be an argument");
        assert!(arguments(&[("q", &text(&"x".repeat(200)))], 100).expect_err("refused").contains("larger"));
        assert!(arguments(&[("q", &MontyObject::Float(f64::NAN))], 100).is_err());
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_said() {
        let long = text(&"x".repeat(2000));
        assert_eq!(result(&long, 1000).expect_err("too large").code, Code::ResultTooLarge);
        let mut deep = MontyObject::Int(1);
        for _ in 0..150 {
            deep = MontyObject::List(vec![deep]);
        }
        let kept = result(&deep, 1000).expect("as text");
        assert!(kept.json.get().starts_with("\"[[["));
    }

    #[test]
    fn a_forgotten_await_is_said() {
        let value = MontyObject::List(vec![MontyObject::Repr(format!("{UNAWAITED} f>"))]);
        assert!(result(&value, 1000).expect_err("refused").hint.is_some_and(|hint| hint.contains("await")));
    }
}
