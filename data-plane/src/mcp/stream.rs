//! A call whose caller wants to hear what the upstream says meanwhile.
//!
//! Owns the queue between the upstream's reader and the caller, and the event stream. The call runs in a task of its
//! own, so that a slow caller never holds the reader up: the queue is bounded, and what was said first goes first.
//! The task ends with the response. A call during which nothing is said is answered in plain JSON.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream;
use http::header;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use toolplane_upstream::client::{Listen, Note};

use super::pieces::Pieces;

/// How many notifications wait for a slow caller; beyond that the oldest is left out.
const MAX_WAITING: usize = 64;
/// The largest notification that is passed on.
const MAX_BYTES: usize = 64 << 10;
/// Severities of log messages, the least severe first.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// What a caller wants to hear.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    /// Its progress token, as it wrote it.
    pub(super) progress_token: Option<Box<RawValue>>,
    /// The least severe log messages that it asked for.
    pub(super) log_level: Option<String>,
}

/// What was said and not yet passed on.
#[derive(Debug)]
pub(super) struct Queue {
    wishes: Wishes,
    waiting: Mutex<VecDeque<Bytes>>,
    changed: Notify,
}

/// Marks a response that ends with its call, unlike a subscription.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndsWithCall;

impl Queue {
    pub(super) fn new(wishes: Wishes) -> Arc<Self> {
        Arc::new(Self { wishes, waiting: Mutex::default(), changed: Notify::new() })
    }

    fn pop(&self) -> Option<Bytes> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Waits until something was said. One task does.
    async fn next(&self) -> Bytes {
        loop {
            if let Some(event) = self.pop() {
                return event;
            }
            self.changed.notified().await;
        }
    }

    fn event(&self, note: Note<'_>) -> Option<Bytes> {
        let (method, params, is_wanted) = match note {
            Note::Progress(params) => {
                let token = member(params, "progressToken")?;
                let is_ours = is_same(token, self.wishes.progress_token.as_deref()?);
                ("notifications/progress", params.get(), is_ours)
            }
            Note::Log(params) => {
                let wanted = severity(self.wishes.log_level.as_deref()?)?;
                let level: String = serde_json::from_str(member(params, "level")?.get()).ok()?;
                ("notifications/message", params.get(), severity(&level)? >= wanted)
            }
        };
        if !is_wanted {
            return None;
        }
        let message = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
        (message.len() <= MAX_BYTES).then(|| framed(message.as_bytes()))
    }
}

impl Listen for Queue {
    fn hear(&self, note: Note<'_>) {
        let Some(event) = self.event(note) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(event);
        drop(waiting);
        self.changed.notify_one();
    }
}

fn member<'a>(params: &'a RawValue, key: &str) -> Option<&'a RawValue> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(params.get()).ok()?;
    members.get(key).copied()
}

/// Whether two tokens are one, however they are written.
fn is_same(a: &RawValue, b: &RawValue) -> bool {
    let value = |raw: &RawValue| serde_json::from_str::<serde_json::Value>(raw.get()).ok();
    a.get() == b.get() || value(a).is_some_and(|token| value(b) == Some(token))
}

fn severity(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}

/// A message as an event. Line breaks can only stand between its tokens, where a space is as good.
fn framed(message: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(message.len() + 24);
    event.extend_from_slice(b"event: message\ndata: ");
    event.extend(message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// What a call came to.
fn said_or<E>(lost: Vec<u8>, reply: Option<Result<Pieces, E>>) -> Pieces {
    reply.and_then(Result::ok).unwrap_or_else(|| lost.into())
}

/// Answers with what `call` comes to, after whatever is said until then. `lost` stands in for a call that broke.
pub(super) async fn answer(
    queue: Arc<Queue>,
    call: impl Future<Output = Pieces> + Send + 'static,
    lost: Vec<u8>,
) -> Result<Pieces, Response> {
    // Dropped, it ends the call.
    let mut calls = JoinSet::new();
    calls.spawn(call);
    let first = tokio::select! {
        biased;
        first = queue.next() => first,
        reply = calls.join_next() => return Ok(said_or(lost, reply)),
    };
    let rest = stream::unfold(Some((queue, calls, lost)), |state| async move {
        let (queue, mut calls, lost) = state?;
        let event = tokio::select! {
            biased;
            event = queue.next() => event,
            reply = calls.join_next() => {
                return Some((framed(&said_or(lost, reply).concat()), None));
            }
        };
        Some((event, Some((queue, calls, lost))))
    });
    let events = futures::StreamExt::chain(stream::iter([first]), rest);
    let body = Body::from_stream(futures::StreamExt::map(events, Ok::<_, std::convert::Infallible>));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        // Proxies that collect a response before they pass it on would keep progress until it is of no use.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let mut response = (headers, body).into_response();
    response.extensions_mut().insert(EndsWithCall);
    Err(response)
}
