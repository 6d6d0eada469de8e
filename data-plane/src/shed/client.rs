//! Whom a request is of, as far as limits go: its connection's share of the bytes, its stream, and where it comes from.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::turn::Turn;

/// Comes with a request, in its extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    pub(super) purse: Purse,
    pub(super) turn: Option<Arc<Turn>>,
    pub(super) is_beyond: bool,
    pub(super) peer: Option<IpAddr>,
}

/// How many bytes the requests of one connection hold together. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Purse(Arc<AtomicUsize>);

impl Client {
    /// A request on that connection, and on that stream where there are streams.
    pub(crate) fn new(purse: Purse, turn: Option<Arc<Turn>>) -> Self {
        Self { purse, turn, is_beyond: false, peer: None }
    }

    /// The same from that address.
    pub(crate) fn at(self, peer: IpAddr) -> Self {
        Self { peer: Some(peer), ..self }
    }

    /// Where the connection comes from: the caller, or what is in front of the node.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// The same on a connection beyond the limit: its one request is refused, unless it is a probe.
    pub(crate) fn beyond(self) -> Self {
        Self { is_beyond: true, ..self }
    }
}

impl Purse {
    /// Whether the connection holds as much as it may.
    pub(super) fn is_full(&self, most: usize) -> bool {
        self.0.load(Ordering::Relaxed) >= most
    }

    /// Adds bytes for a request that holds `own` already. One that is alone may hold anything: what is large has to
    /// pass, too.
    pub(super) fn take(&self, more: usize, own: usize, most: usize) -> bool {
        let within = |held: usize| {
            let sum = held.checked_add(more)?;
            (sum <= most || held <= own).then_some(sum)
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    /// Adds bytes that are there already.
    pub(super) fn note(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}
