//! The readers of frames, for tests that feed them any bytes (`fuzz/README.md`).

use std::convert::identity;

use futures::FutureExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::frames::{FromWorker, Incoming, ToWorker, encode, read};

/// What a host takes in one frame here.
const MAX: usize = 16 * 1024;

/// Reads bytes as the host and as a worker do.
///
/// # Panics
///
/// Where what is read depends on how the bytes are cut, a message does not survive being sent again, or a reader waits
/// although everything has come.
pub fn frames(bytes: &[u8]) {
    let cut = bytes.first().map_or(0, |first| usize::from(*first)).min(bytes.len());
    let (head, tail) = bytes.split_at(cut);
    let whole = messages(bytes);
    assert_eq!(whole, messages(head.chain(tail)), "it depends on the cut");
    for message in &whole {
        let again = encode(&serde_json::from_str::<FromWorker>(message).unwrap_or(FromWorker::Wait));
        assert!(again.is_ok_and(|frame| messages(frame.as_slice()).len() == 1), "it is not read again");
    }
    let mut from = bytes;
    while read::<ToWorker>(&mut from).is_ok() {}
}

/// Messages up to the first that is none, as JSON.
fn messages(mut from: impl AsyncRead + Unpin) -> Vec<String> {
    let mut incoming = Incoming::default();
    let mut messages = Vec::new();
    let mut next = || incoming.next::<FromWorker, _>(&mut from, MAX).now_or_never().map(Result::ok);
    while let Some(message) = next().and_then(identity) {
        messages.push(serde_json::to_string(&message).unwrap_or_default());
    }
    messages
}
