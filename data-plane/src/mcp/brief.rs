//! A caller's own words, short enough for a span, a line of a log or a sentence.
//!
//! Owns where they are cut. Never decides what they mean.

use std::borrow::Cow;

/// How many characters are kept: twice as many as a published name has at most.
const MOST_CHARS: usize = 256;
/// Stands for what was cut.
const MARK: char = '…';

/// The text, or its beginning and a mark. Costs no more for a long text than for a short one.
pub(super) fn brief(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST_CHARS) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            let mut kept = text.get(..end).unwrap_or_default().to_owned();
            kept.push(MARK);
            Cow::Owned(kept)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut_between_characters_and_marked() {
        for letter in ["x", "é", "🦀"] {
            let fits = letter.repeat(MOST_CHARS);
            assert_eq!(brief(&fits), fits);
            assert_eq!(brief(&letter.repeat(100_000)), format!("{fits}…"));
        }
    }
}
