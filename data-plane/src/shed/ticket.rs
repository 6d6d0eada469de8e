//! What one request takes of the node: its place, its body, the reply that it waits for, and its answer.
//!
//! Everything is counted where it is held and given back at the latest when the last owner of the ticket goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use toolplane_upstream::connector::Room;

use super::client::Purse;
use super::{Counts, take};

/// A place among the requests, with the bytes that are held for it.
#[derive(Debug)]
pub(super) struct Ticket {
    counts: Arc<Counts>,
    /// What its connection holds.
    purse: Purse,
    /// Of its body and its answer.
    bytes: AtomicUsize,
    /// Of what an upstream replied to it.
    reply: AtomicUsize,
    /// Whether its body brought a byte too many.
    overran: AtomicBool,
}

impl Ticket {
    /// The place must have been taken.
    pub(super) fn new(counts: &Arc<Counts>, purse: Purse) -> Arc<Self> {
        let (bytes, reply) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { counts: Arc::clone(counts), purse, bytes, reply, overran: AtomicBool::new(false) })
    }

    /// Makes room for bytes of the body that arrived; without room they are not kept.
    pub(super) fn hold(&self, more: usize) -> bool {
        let fits = self.fits(more);
        if fits {
            self.bytes.fetch_add(more, Ordering::Relaxed);
        } else if !self.overran.swap(true, Ordering::Relaxed) {
            self.counts.refused_bodies.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    /// Whether a body was not kept.
    pub(super) fn has_overrun(&self) -> bool {
        self.overran.load(Ordering::Relaxed)
    }

    /// Counts an answer of that size in the place of the reply that it was made of. It is there already, so it is not
    /// thrown away for want of room.
    pub(super) fn answered(&self, size: usize) {
        self.counts.bytes.fetch_add(size, Ordering::Relaxed);
        self.purse.note(size);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.let_go(self.reply.swap(0, Ordering::Relaxed));
    }

    /// Both the connection's share and the node's bytes have to have room.
    fn fits(&self, more: usize) -> bool {
        let capacity = &self.counts.capacity;
        let own = self.bytes.load(Ordering::Relaxed) + self.reply.load(Ordering::Relaxed);
        if !self.purse.take(more, own, capacity.connection_share()) {
            return false;
        }
        let fits = take(&self.counts.bytes, more, capacity.max_buffered_bytes);
        if !fits {
            self.purse.give_back(more);
        }
        fits
    }

    fn let_go(&self, bytes: usize) {
        self.counts.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.purse.give_back(bytes);
    }
}

impl Room for Ticket {
    fn take(&self, bytes: usize) -> bool {
        let fits = self.fits(bytes);
        if fits {
            self.reply.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.counts.refused_replies.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        // A reader that outlives the answer has nothing left to give back.
        let within = |held: usize| held.checked_sub(bytes);
        if self.reply.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok() {
            self.let_go(bytes);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let held = *self.bytes.get_mut() + *self.reply.get_mut();
        self.let_go(held);
        self.counts.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
