//! The bytes of updates, which nodes share.
//!
//! Owns how an update becomes one gRPC message: a short head of its own, then the domains that changed, each encoded
//! once for all nodes and kept for as long as its snapshot is. The fields of a protobuf message may come in any
//! order, so this is an ordinary encoding. Never decides what is sent.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::Status;
use toolplane_proto::sync;
use toolplane_registry::snapshot::DomainSnapshot;

use super::session::Update;

/// `update` in `SubscribeResponse`.
const UPDATE_FIELD: u32 = 1;
/// Says of a gRPC message that it is not compressed.
const UNCOMPRESSED: u8 = 0;

/// A whole gRPC message, in pieces to be sent one after the other.
#[derive(Clone)]
pub(super) struct Frames(Vec<Bytes>);

/// Domains as they were encoded. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<HashMap<usize, Kept>>>);

struct Kept {
    /// Keeps the address, which is the key, from being used again.
    domain: Weak<DomainSnapshot>,
    bytes: Arc<OnceLock<Bytes>>,
}

// ---- Frames ----

impl Frames {
    /// What it comes to on the wire.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// The pieces in their order.
    pub(super) fn into_pieces(self) -> impl Iterator<Item = Bytes> {
        self.0.into_iter()
    }
}

impl fmt::Debug for Frames {
    /// Shows the size alone: the content knows credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frames({} bytes)", self.len())
    }
}

// ---- Shelf ----

impl Shelf {
    /// The message that carries the update.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` where it is longer than gRPC can say.
    pub(super) fn frames(&self, Update { bare, changed }: &Update) -> Result<Frames, Status> {
        let cells = self.cells(changed);
        let encoded: Vec<Bytes> = changed
            .iter()
            .zip(&cells)
            .map(|(domain, cell)| cell.get_or_init(|| encode(domain)).clone())
            .collect();
        let update_len = bare.encoded_len() + encoded.iter().map(Bytes::len).sum::<usize>();
        let length = key_len(UPDATE_FIELD) + encoded_len_varint(update_len as u64) + update_len;
        let length = u32::try_from(length)
            .map_err(|_| Status::resource_exhausted(format!("an update of {length} bytes cannot be sent")))?;
        let mut head = BytesMut::new();
        head.put_u8(UNCOMPRESSED);
        head.put_u32(length);
        encode_key(UPDATE_FIELD, WireType::LengthDelimited, &mut head);
        encode_varint(update_len as u64, &mut head);
        head.extend_from_slice(&bare.encode_to_vec());
        Ok(Frames(std::iter::once(head.freeze()).chain(encoded).collect()))
    }

    /// Forgets domains that are in no snapshot any more.
    pub(super) fn sweep(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.domain.strong_count() > 0);
    }

    /// Where the bytes of each domain are, or will be: streams that need them at once encode them once, and not
    /// under the lock.
    fn cells(&self, domains: &[Arc<DomainSnapshot>]) -> Vec<Arc<OnceLock<Bytes>>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cells = domains.iter().map(|domain| {
            let kept = kept
                .entry(Arc::as_ptr(domain).addr())
                .or_insert_with(|| Kept { domain: Arc::downgrade(domain), bytes: Arc::default() });
            Arc::clone(&kept.bytes)
        });
        cells.collect()
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Shelf({} domains)", kept.len())
    }
}

/// A domain as an entry of `Update.changed`, with its key and its length.
fn encode(domain: &DomainSnapshot) -> Bytes {
    sync::Update { changed: vec![domain.into()], ..sync::Update::default() }.encode_to_vec().into()
}

#[cfg(test)]
mod tests;
