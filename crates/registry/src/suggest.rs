//! "Did you mean": names near a name that leads nowhere.
//!
//! Owns the order of suggestions. Never sees more than the caller's view, so it cannot give away a hidden tool.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashSet;

use crate::View;
use crate::view::MAX_PUBLISHED_CHARS;
use crate::view::kin::Kin;

/// How many names are suggested.
const MAX_SUGGESTIONS: usize = 3;
/// How alike two names must be to count as a slip of the fingers.
const TYPO_SIMILARITY: f64 = 0.75;
/// Longer than any name can be, in bytes: nothing is near it, and looking would cost its length for every tool.
const MAX_WANTED_BYTES: usize = 4 * MAX_PUBLISHED_CHARS;
/// How many letters may differ in a slip of the fingers that goes before shared words.
const FEW_LETTERS: usize = 2;
/// Longer names are not compared letter by letter: that costs the product of the lengths.
const MAX_TYPO_CHARS: usize = 128;

/// Why a name is suggested, best reason first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// One name holds the other; then by how many words they share.
    Contains(Reverse<usize>),
    /// They differ by a letter or two; then by how many.
    Slip(usize),
    /// They share that many words.
    Shares(Reverse<usize>),
    /// They are alike.
    Typo,
}

/// A name that leads nowhere.
#[derive(Debug)]
struct Wanted<'a> {
    folded: &'a str,
    words: HashSet<&'a str>,
}

/// Up to three published names near `name`, as [`among`] orders them.
pub fn similar(view: &View, name: &str) -> Vec<String> {
    nearest(view.entries().iter().map(|entry| (entry.folded_name(), entry.name())), name)
}

/// Up to three of `names` near `name`: first those that hold it or are held by it, then those a letter or two away,
/// then those that share words with it, then likely misspellings; equals by name. Nothing is near a name that is longer
/// than any can be.
pub fn among<'a>(names: impl Iterator<Item = &'a str>, name: &str) -> Vec<String> {
    nearest(names.map(|name| (name.to_lowercase().into(), name)), name)
}

/// Positions of the entries that could be suggested to some caller, under whatever names that caller knows them.
pub fn candidates(view: &View, kin: &Kin, name: &str) -> Vec<usize> {
    let folded = name.to_lowercase();
    let Some(wanted) = Wanted::of(name, &folded) else { return Vec::new() };
    let entries = view.entries().iter().enumerate();
    let near = entries
        .filter(|(position, entry)| kin.any_name(*position, entry, |known| wanted.reason(known).is_some()));
    near.map(|(position, _)| position).collect()
}

/// Of names in lower case and as they are.
fn nearest<'a>(names: impl Iterator<Item = (Cow<'a, str>, &'a str)>, name: &str) -> Vec<String> {
    let folded = name.to_lowercase();
    let Some(wanted) = Wanted::of(name, &folded) else { return Vec::new() };
    let mut found: Vec<(Reason, &str)> =
        names.filter_map(|(folded, name)| Some((wanted.reason(&folded)?, name))).collect();
    found.sort();
    found.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}

impl<'a> Wanted<'a> {
    /// `None` where nothing is near.
    fn of(name: &str, folded: &'a str) -> Option<Self> {
        (name.len() <= MAX_WANTED_BYTES).then(|| Self { folded, words: folded.split('_').collect() })
    }

    /// Why a name, in lower case, is near.
    fn reason(&self, candidate: &str) -> Option<Reason> {
        let Self { folded: wanted, words } = self;
        let shared = || candidate.split('_').collect::<HashSet<_>>().intersection(words).count();
        if candidate.contains(*wanted) || wanted.contains(candidate) {
            return Some(Reason::Contains(Reverse(shared())));
        }
        let comparable = wanted.len() <= MAX_TYPO_CHARS && candidate.len() <= MAX_TYPO_CHARS;
        let likeness = if comparable { Likeness::of(wanted, candidate) } else { Likeness::None };
        match (likeness, shared()) {
            (Likeness::Slip(letters), _) => Some(Reason::Slip(letters)),
            (_, shared @ 1..) => Some(Reason::Shares(Reverse(shared))),
            (Likeness::Typo, _) => Some(Reason::Typo),
            (Likeness::None, _) => None,
        }
    }
}

/// How alike two names are, letter by letter.
enum Likeness {
    None,
    Typo,
    /// That few letters differ.
    Slip(usize),
}

impl Likeness {
    fn of(wanted: &str, candidate: &str) -> Self {
        let (one, other) = (wanted.chars().count(), candidate.chars().count());
        let longest = one.max(other);
        // As many letters differ as one name is longer than the other; most are done with here.
        if one.abs_diff(other) * 4 > longest {
            return Self::None;
        }
        let letters = strsim::damerau_levenshtein(wanted, candidate);
        #[expect(clippy::cast_precision_loss, reason = "both are lengths of names")]
        let similarity = 1.0 - letters as f64 / longest.max(1) as f64;
        match letters {
            _ if similarity < TYPO_SIMILARITY => Self::None,
            0..=FEW_LETTERS => Self::Slip(letters),
            _ => Self::Typo,
        }
    }
}

#[cfg(test)]
mod tests;
