//! The strings of a JSON document under the guard: keys and values, one by one.
//!
//! Owns that everything else of the document stays as it was written, numbers above all.

use super::{Judge, Judged, Stance};
use crate::mcp::text::string_len;

impl Judge {
    /// Judges every string, up to the limit for all of them together. The document comes back where it was changed.
    pub(crate) fn strings(&self, json: &str) -> (Judged, Option<String>) {
        let mut sum = Judged::Pass;
        let (mut made, mut is_changed) = (String::new(), false);
        let (mut rest, mut left) = (json, self.max_scan_bytes);
        while let Some(position) = rest.find('"').filter(|_| left > 0) {
            let (before, tail) = rest.split_at(position);
            let (literal, after) = tail.split_at(string_len(tail));
            let (judged, replaced) = Self { max_scan_bytes: left, ..*self }.literal(literal);
            sum = sum.max(judged);
            if sum == Judged::Reject {
                return (sum, None);
            }
            is_changed |= replaced.is_some();
            made.extend([before, replaced.as_deref().unwrap_or(literal)]);
            left = left.saturating_sub(literal.len());
            rest = after;
        }
        made.push_str(rest);
        (sum, is_changed.then_some(made))
    }

    fn literal(&self, literal: &str) -> (Judged, Option<String>) {
        let judged = match serde_json::from_str::<String>(literal) {
            Ok(mut text) => (self.text(&mut text), text),
            // Half a character is nothing that an honest worker writes, and nothing in which a pattern could be seen.
            Err(_) => match self.stance {
                Stance::Reject => (Judged::Reject, String::new()),
                Stance::Replace(_) => (Judged::Modified, String::new()),
            },
        };
        match judged {
            (Judged::Modified, text) => (Judged::Modified, Some(serde_json::Value::from(text).to_string())),
            (other, _) => (other, None),
        }
    }
}
