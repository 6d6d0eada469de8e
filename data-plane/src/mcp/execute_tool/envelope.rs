//! What of a result goes inside the envelope, and what beside it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use toolplane_registry::RawJson;
use toolplane_registry::view::Entry;

use super::super::error::Error;
use super::super::text::to_text;
use crate::output_guard::{Guard, Mark, Verdict};

#[derive(Serialize)]
struct Envelope<'a> {
    tool: &'a str,
    result: &'a str,
    #[serde(rename = "_output_guard", skip_serializing_if = "Option::is_none")]
    output_guard: Option<Mark>,
}

/// As much of a content block as decides where it goes.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

/// The envelope around a text, once the guard has looked at it.
pub(super) fn envelope(guard: &Guard, entry: &Entry, text: String) -> Result<String, Error> {
    let (text, output_guard) = match guard.judge(entry, text) {
        Verdict::Pass(text) => (text, None),
        Verdict::Modified { text, mode } => (text, Some(Mark::of(mode))),
        Verdict::Reject => {
            return Err(Error::GuardRejected {
                tool: entry.name().to_owned(),
                domain: entry.domain().domain().to_string(),
            });
        }
    };
    Ok(to_text(&Envelope { tool: entry.name(), result: &text, output_guard }))
}

/// The texts, joined by line breaks, and all other blocks as they were sent.
pub(super) fn split(content: Vec<RawJson>) -> (String, Vec<RawJson>) {
    let mut texts: Vec<String> = Vec::new();
    let mut others = Vec::new();
    for block in content {
        match serde_json::from_str::<Block<'_>>(block.as_str()) {
            // A list is no block: read by place, its items would pass for members.
            Ok(Block { kind, text: Some(text) }) if kind == "text" && block.as_str().starts_with('{') => {
                texts.push(text.into_owned());
            }
            _ => others.push(block),
        }
    }
    (texts.join("\n"), others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_joined_and_other_blocks_stay_as_sent() {
        let raw = |text: &str| RawJson::parse(text).unwrap();
        let image = raw(r#"{"type":"image","data":"AA==","mimeType":"image/png","x":1e400}"#);
        let odd = raw(r#"{"type":"text"}"#);
        let list = raw(r#"["text","by place"]"#);
        let (text, others) = split(vec![
            raw(r#"{"type":"text","text":"first"}"#),
            image.clone(),
            odd.clone(),
            list.clone(),
            raw(r#"{"type":"text","text":"l\u00e4st","annotations":{}}"#),
        ]);
        assert_eq!(text, "first\nläst");
        assert_eq!(others, [image, odd, list]);
    }
}
