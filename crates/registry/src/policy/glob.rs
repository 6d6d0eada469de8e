//! Globs over names, with the semantics of Python's `fnmatchcase`.
//!
//! Case-sensitive `*`, `?`, `[seq]` and `[!seq]` over characters; an unclosed `[` is itself, and nothing else is
//! special. Compiled to a regular-expression set: path globs treat `/`, `{}`, `\` and `**` in ways that nobody
//! who writes a tool name means, and match bytes where `?` must match a character.

use std::fmt::Write as _;

use regex::{RegexSet, RegexSetBuilder};

use crate::{Rejection, Rule};

/// Longest pattern, in bytes.
const MAX_PATTERN_LEN: usize = 1_024;
/// Most patterns in one list.
const MAX_PATTERNS: usize = 10_000;
/// Largest compiled list, in bytes.
const MAX_COMPILED_BYTES: usize = 64 * 1024 * 1024;

/// A list of globs, compiled once; an empty list matches nothing.
#[derive(Debug, Clone, Default)]
pub struct Globs(RegexSet);

impl Globs {
    /// Compiles a list.
    pub fn compile(patterns: &[String]) -> Result<Self, Rejection> {
        let refuse = |reason: String| Rejection::new("glob list", Rule::Setting, reason);
        if patterns.len() > MAX_PATTERNS {
            return Err(refuse(format!("has more than {MAX_PATTERNS} globs")));
        }
        if patterns.iter().any(|pattern| pattern.len() > MAX_PATTERN_LEN) {
            return Err(refuse(format!("has a glob longer than {MAX_PATTERN_LEN} bytes")));
        }
        RegexSetBuilder::new(patterns.iter().map(|pattern| to_regex(pattern)))
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map(Self)
            .map_err(|_| refuse("is too large to compile".to_owned()))
    }

    /// Whether one of the globs matches the whole name.
    pub fn is_match(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

fn to_regex(pattern: &str) -> String {
    let mut out = String::from(r"(?s)\A");
    let mut rest = pattern.chars();
    let mut after_star = false;
    while let Some(c) = rest.next() {
        match c {
            // A run of stars is one star, lest the expression grow for nothing.
            '*' if after_star => {}
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => match class(rest.as_str()) {
                Some((expression, remainder)) => {
                    out.push_str(&expression);
                    rest = remainder.chars();
                }
                None => out.push_str(r"\["),
            },
            other => push_char(&mut out, other),
        }
        after_star = c == '*';
    }
    out.push_str(r"\z");
    out
}

/// Translates what follows a `[`; `None` when nothing closes it. A `]` in the first place is a member.
fn class(text: &str) -> Option<(String, &str)> {
    let (negated, body) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let first = body.chars().next()?;
    let end = first.len_utf8() + body.get(first.len_utf8()..)?.find(']')?;
    let (members, remainder) = (body.get(..end)?, body.get(end + 1..)?);
    let members: Vec<char> = members.chars().collect();
    let mut ranges = String::new();
    let mut left = members.as_slice();
    while let Some((&low, rest)) = left.split_first() {
        let (high, rest) = match rest {
            ['-', high, rest @ ..] => (*high, rest),
            _ => (low, rest),
        };
        // A range that runs backwards has no members.
        if low <= high {
            push_char(&mut ranges, low);
            ranges.push('-');
            push_char(&mut ranges, high);
        }
        left = rest;
    }
    let expression = match (negated, ranges.is_empty()) {
        (true, true) => ".".to_owned(),
        (false, true) => r"[^\x{0}-\x{10FFFF}]".to_owned(),
        (true, false) => format!("[^{ranges}]"),
        (false, false) => format!("[{ranges}]"),
    };
    Some((expression, remainder))
}

fn push_char(out: &mut String, c: char) {
    if c.is_alphanumeric() || c == '_' {
        out.push(c);
    } else {
        // Writing to a string cannot fail.
        _ = write!(out, r"\x{{{:X}}}", u32::from(c));
    }
}
