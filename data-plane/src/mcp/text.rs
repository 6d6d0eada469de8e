//! The JSON text inside replies, spelled as existing clients know it.
//!
//! Owns the spelling: `", "` and `": "` between tokens, everything beyond printable ASCII escaped. Documents of an
//! upstream keep their number spellings and key order; only white space and escapes change.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// How many bytes are looked at together.
const BLOCK: usize = 32;

/// Writes a value as text.
#[expect(
    clippy::expect_used,
    reason = "replies have string keys and hold valid JSON; memory cannot refuse a write"
)]
pub(crate) fn to_text(value: &impl Serialize) -> String {
    let mut out = Vec::with_capacity(256);
    value.serialize(&mut Serializer::with_formatter(&mut out, Spaced)).expect("a reply is serializable");
    String::from_utf8(out).expect("only ASCII was written")
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        write_ascii(out, text)
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, document: &str) -> io::Result<()> {
        let mut rest = document;
        while let Some(position) = rest.find(['"', ',', ':', ' ', '\t', '\n', '\r']) {
            let (plain, tail) = rest.split_at(position);
            out.write_all(plain.as_bytes())?;
            match tail.as_bytes().first() {
                Some(b'"') => {
                    let (string, after) = tail.split_at(string_len(tail));
                    write_ascii(out, string)?;
                    rest = after;
                    continue;
                }
                Some(b',') => out.write_all(b", ")?,
                Some(b':') => out.write_all(b": ")?,
                _ => {}
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        out.write_all(rest.as_bytes())
    }
}

/// The length of the string literal that a text begins with, quotes included.
pub(crate) fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (position, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return position + 1,
            _ => {}
        }
    }
    text.len()
}

fn write_ascii<W: ?Sized + io::Write>(out: &mut W, text: &str) -> io::Result<()> {
    let mut rest = text;
    loop {
        // What is printable ASCII ends between two characters.
        let (plain, tail) = rest.split_at(printable_len(rest.as_bytes()));
        out.write_all(plain.as_bytes())?;
        let mut chars = tail.chars();
        let Some(other) = chars.next() else { return Ok(()) };
        for unit in other.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}")?;
        }
        rest = chars.as_str();
    }
}

/// How many bytes of printable ASCII a text begins with. Whole blocks are checked at once: texts are long, and nearly
/// all of them is.
fn printable_len(text: &[u8]) -> usize {
    let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
    let blocks = text.chunks(BLOCK);
    let whole = blocks.take_while(|block| block.iter().fold(true, |all, byte| all & is_printable(byte)));
    let len = whole.map(<[u8]>::len).sum();
    len + text.iter().skip(len).take_while(|byte| is_printable(byte)).count()
}

#[cfg(test)]
mod tests {
    use toolplane_registry::RawJson;

    use super::*;

    #[test]
    fn tokens_are_spaced_and_other_scripts_escaped() {
        let value = serde_json::json!({"a": ["naïve", "🚀\u{2028}\u{7f}", "q\"\\\n"], "b": null});
        let expected = r#"{"a": ["na\u00efve", "\ud83d\ude80\u2028\u007f", "q\"\\\n"], "b": null}"#;
        assert_eq!(to_text(&value), expected);
    }

    #[test]
    fn characters_are_escaped_wherever_they_stand_in_a_block() {
        for before in 0..3 * BLOCK {
            for (odd, escaped) in [("é", "\\u00e9"), ("🚀", "\\ud83d\\ude80"), ("\u{7f}", "\\u007f")] {
                let (head, tail) = ("a".repeat(before), "b".repeat(BLOCK));
                assert_eq!(to_text(&format!("{head}{odd}{tail}")), format!("\"{head}{escaped}{tail}\""));
            }
        }
    }

    #[test]
    fn raw_documents_keep_numbers_and_order() {
        let raw = RawJson::parse(
            "{\"z\":[1e400,\n 123456789012345678901234567890],\"a\":\"é, \\\"x:y\\\" \\u00e9\"}",
        )
        .unwrap();
        let expected = r#"{"z": [1e400, 123456789012345678901234567890], "a": "\u00e9, \"x:y\" \u00e9"}"#;
        assert_eq!(to_text(&raw), expected);
        assert_eq!(to_text(&RawJson::parse("  5 ").unwrap()), "5");
    }
}
