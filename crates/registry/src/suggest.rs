//! "Did you mean": names near a name that leads nowhere.
//!
//! Owns the order of suggestions. Never sees more than the caller's view, so it cannot give away a hidden tool.

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::View;
use crate::view::Entry;

/// How many names are suggested.
const MAX_SUGGESTIONS: usize = 3;
/// How alike two names must be to count as a slip of the fingers.
const TYPO_SIMILARITY: f64 = 0.75;
/// Longer names are not compared letter by letter: that costs the product of the lengths.
const MAX_TYPO_CHARS: usize = 128;

/// Why a name is suggested, best reason first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// One name holds the other; then by how many words they share.
    Contains(Reverse<usize>),
    /// They share that many words.
    Shares(Reverse<usize>),
    /// They differ by a letter or two.
    Typo,
}

/// Up to three published names near `name`, as [`among`] orders them.
pub fn similar(view: &View, name: &str) -> Vec<String> {
    among(view.entries().iter().map(Entry::name), name)
}

/// Up to three of `names` near `name`: first those that hold it or are held by it, then those that share words with
/// it, then likely misspellings; equals by name.
pub fn among<'a>(names: impl Iterator<Item = &'a str>, name: &str) -> Vec<String> {
    let wanted = name.to_lowercase();
    let words: HashSet<&str> = wanted.split('_').collect();
    let mut found: Vec<(Reason, &str)> = names
        .filter_map(|candidate| Some((reason(&wanted, &words, &candidate.to_lowercase())?, candidate)))
        .collect();
    found.sort();
    found.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}

fn reason(wanted: &str, words: &HashSet<&str>, candidate: &str) -> Option<Reason> {
    let shared = candidate.split('_').collect::<HashSet<_>>().intersection(words).count();
    if candidate.contains(wanted) || wanted.contains(candidate) {
        return Some(Reason::Contains(Reverse(shared)));
    }
    if shared > 0 {
        return Some(Reason::Shares(Reverse(shared)));
    }
    let comparable = wanted.len() <= MAX_TYPO_CHARS && candidate.len() <= MAX_TYPO_CHARS;
    (comparable && strsim::normalized_damerau_levenshtein(wanted, candidate) >= TYPO_SIMILARITY)
        .then_some(Reason::Typo)
}

#[cfg(test)]
mod tests;
