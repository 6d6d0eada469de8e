//! Cleaning of text that strangers wrote and a model will read.
//!
//! Owns the list of injection patterns and the hygiene of descriptions. Never decides what happens to a hostile
//! tool result: the output guard of a node asks [`scrub`] or [`is_hostile`]. Never logs: the offending text stays
//! here.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

/// Longest description, in characters, mark of truncation included.
pub const MAX_DESCRIPTION_CHARS: usize = 2_048;
/// Ends a description that was cut.
const TRUNCATED: &str = " [truncated]";
/// Far more text than a description may keep; the rest is not even looked at.
const MAX_SCANNED_CHARS: usize = 16 * MAX_DESCRIPTION_CHARS;
/// Longest name shown in a message, in characters.
const MAX_LABEL_CHARS: usize = 64;

/// What stands where an injection pattern stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// A space.
    Strip,
    /// A visible mark.
    Marker,
}

/// A text after [`scrub`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrubbed {
    /// The text without injection patterns.
    pub text: String,
    /// Whether anything was replaced.
    pub modified: bool,
}

// Chat-template markup, role prefixes and the stock phrases of prompt injection. Role prefixes and phrases ask
// for line starts and word boundaries, so that ordinary prose ("the system: config") stays as it is.
static INJECTION: LazyLock<Regex> = LazyLock::new(|| {
    let alternatives = [
        r"<\s*/?\s*(?:system|assistant|user|tool_use|tool_result)[^>]*>",
        r"\[/?INST\]",
        r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id)\|>",
        r"<</?SYS>>",
        r"^[ \t]*(?:system|assistant)[ \t]*:",
        r"\b(?:ignore|disregard)\s+(?:all\s+)?(?:previous|prior|above)\s+(?:instructions?|context|prompts?)",
        r"\byou\s+are\s+now\b",
        r"\bact\s+as\s+an?\s+",
    ];
    let pattern = format!("(?im){}", alternatives.join("|"));
    #[expect(
        clippy::expect_used,
        reason = "the pattern is a constant and every test of this module compiles it"
    )]
    Regex::new(&pattern).expect("the injection pattern compiles")
});

/// Cleans what an upstream says of a tool: composed characters, nothing invisible, no injection patterns,
/// bounded length. What is no string says nothing.
pub fn description(raw: Option<&serde_json::Value>) -> String {
    let visible = visible(raw);
    bounded(INJECTION.replace_all(&visible, replacement(Replacement::Strip)).into_owned())
}

/// Like [`description`], for a domain whose wording the operator vouches for: injection patterns stay, since a
/// prompt library has to name them; the rest is hygiene that nobody misses.
pub fn trusted_description(raw: Option<&serde_json::Value>) -> String {
    bounded(visible(raw))
}

/// Replaces the injection patterns within the first `max_scan_bytes` bytes; the rest passes unread.
pub fn scrub(text: &str, with: Replacement, max_scan_bytes: usize) -> Scrubbed {
    let (head, tail) = text.split_at(floor_char_boundary(text, max_scan_bytes));
    match INJECTION.replace_all(head, replacement(with)) {
        Cow::Borrowed(_) => Scrubbed { text: text.to_owned(), modified: false },
        Cow::Owned(clean) => Scrubbed { text: clean + tail, modified: true },
    }
}

/// Whether an injection pattern occurs within the first `max_scan_bytes` bytes.
pub fn is_hostile(text: &str, max_scan_bytes: usize) -> bool {
    let (head, _) = text.split_at(floor_char_boundary(text, max_scan_bytes));
    INJECTION.is_match(head)
}

/// A stranger's name made fit for a message: one short line without markup.
pub(crate) fn label(name: &str) -> String {
    let mut visible: String =
        name.chars().take(MAX_LABEL_CHARS + 1).filter(|c| !is_invisible(*c) && !c.is_control()).collect();
    if let Some((end, _)) = visible.char_indices().nth(MAX_LABEL_CHARS) {
        visible.truncate(end);
        visible.push('…');
    }
    INJECTION.replace_all(&visible, replacement(Replacement::Strip)).replace('`', "'")
}

/// An operator's words about a domain, as they are told to models: cleaned, on one line.
pub fn one_line(text: &str) -> String {
    let cleaned = description(Some(&serde_json::Value::from(text)));
    cleaned.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn replacement(with: Replacement) -> &'static str {
    match with {
        Replacement::Strip => " ",
        Replacement::Marker => "[removed]",
    }
}

fn visible(raw: Option<&serde_json::Value>) -> String {
    let text = raw.and_then(serde_json::Value::as_str).unwrap_or_default();
    text.nfc().take(MAX_SCANNED_CHARS).filter(|c| !is_invisible(*c)).collect()
}

fn bounded(mut text: String) -> String {
    if text.char_indices().nth(MAX_DESCRIPTION_CHARS).is_some() {
        let kept = MAX_DESCRIPTION_CHARS - TRUNCATED.len();
        if let Some((end, _)) = text.char_indices().nth(kept) {
            text.truncate(end);
        }
        text.push_str(TRUNCATED);
    }
    text
}

/// Characters that a reader does not see but a model does: controls except for white space, zero-width and
/// bidirectional marks, and the tag and selector blocks that smuggle ASCII.
pub(crate) fn is_invisible(c: char) -> bool {
    let is_space = matches!(c, '\t' | '\n' | '\r');
    let is_format = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}'
    );
    is_format || (c.is_control() && !is_space)
}

/// Characters that have no place in a name or in a line of a log: the invisible ones, and every control, line ends among
/// them.
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || is_invisible(c)
}

fn floor_char_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

#[cfg(test)]
mod tests;
