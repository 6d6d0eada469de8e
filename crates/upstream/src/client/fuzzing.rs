//! Entry points for fuzzing: each takes any bytes for what an upstream sent, and panics where a promise is broken.
//!
//! Owns the promises and no behavior: what runs is the readers of this client. Never compiled without the feature
//! `fuzzing`.

use serde_json::value::RawValue;
use toolplane_registry::RawJson;

use super::message::{self, Incoming};
use super::result::{self, Answer, InputRequired, ToolResult};
use super::sse::Decoder;
use super::{Note, stateless};
use crate::Error;

/// The request that is answered.
const ID: u64 = 7;
/// Longest text of a failure: none quotes what the upstream sent.
const MAX_REASON: usize = 300;
/// Beyond this the pieces of a document are not looked for in it: that takes time by their number.
const MAX_SEARCHED: usize = 8 << 10;

/// An event stream, and the messages in it. The first byte says how the rest is cut.
///
/// # Panics
///
/// Where another cut gives other events, or an event holds what no event can.
pub fn stream(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else { return };
    let whole = events([stream]);
    let cut = events(stream.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, cut, "events depend on how the stream is cut");
    let held: usize = whole.iter().map(Vec::len).sum();
    assert!(held <= stream.len(), "{held} bytes came out of {}", stream.len());
    for event in whole {
        assert!(!event.is_empty() && !event.contains(&b'\r'), "no event holds a carriage return");
        reply(&event);
    }
}

/// A message where a reply is awaited, and the same bytes as a bare result.
///
/// # Panics
///
/// Where a part is not passed on as it was sent, or a failure quotes the upstream.
pub fn reply(input: &[u8]) {
    match message::parse(input, ID) {
        Ok(Incoming::Reply(Ok(document))) => {
            assert!(input.trim_ascii_start().starts_with(b"{"), "a message is an object");
            read_result(&document);
        }
        Ok(Incoming::Reply(Err(error))) | Err(error) => check_failure(&error),
        Ok(Incoming::Request { id, method }) => {
            let answer = message::write_answer(&id, &method);
            let answer: serde_json::Result<&RawValue> = serde_json::from_slice(&answer);
            assert!(
                answer.is_ok_and(|answer| answer.get().contains(id.get())),
                "an answer names its request"
            );
        }
        Ok(Incoming::Note(Note::Progress(params) | Note::Log(params))) => check_part(params.get()),
        Ok(Incoming::Other) => {}
    }
    if let Some(error) = message::parse_refusal(input, ID) {
        check_failure(&error);
    }
    if let Ok(document) = serde_json::from_slice(input) {
        read_result(document);
    }
}

fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        events.extend(std::iter::from_fn(|| decoder.next_event()));
    }
    events
}

/// Takes a result for each kind of result that there is.
fn read_result(document: &RawValue) {
    match result::parse_answer(document) {
        Ok(Answer::Complete(ToolResult { content, structured_content, is_error: _, meta, extra })) => {
            let extra = extra.iter().map(|(_, value)| value);
            check_parts(document, content.iter().chain(&structured_content).chain(&meta).chain(extra));
        }
        Ok(Answer::InputRequired(InputRequired { request_state: _, members })) => {
            check_parts(document, members.iter().map(|(_, value)| value));
        }
        Err(error) => check_failure(&error),
    }
    match message::parse_page(document) {
        Ok(page) => check_parts(document, page.tools.iter()),
        Err(error) => check_failure(&error),
    }
    if let Err(error) = message::parse_introduction(document) {
        check_failure(&error);
    }
    drop(stateless::parse_discovery(document));
    let given = RawJson::from(document);
    check_part(stateless::stamp(Some(&given)).as_str());
}

fn check_parts<'a>(whole: &RawValue, parts: impl Iterator<Item = &'a RawJson>) {
    let mut held = 0;
    for part in parts {
        check_part(part.as_str());
        held += part.as_str().len();
        let is_as_sent = whole.get().len() > MAX_SEARCHED || whole.get().contains(part.as_str());
        assert!(is_as_sent, "not as it was sent: {part:?}");
    }
    assert!(held <= whole.get().len(), "more came out than was sent");
}

fn check_part(text: &str) {
    assert!(RawJson::parse(text).is_ok(), "not JSON: {text}");
}

fn check_failure(error: &Error) {
    let reason = error.to_string();
    assert!(reason.len() <= MAX_REASON, "a failure quotes what was sent: {reason}");
}
