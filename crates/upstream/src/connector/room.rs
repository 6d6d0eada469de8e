//! Room for replies: whoever holds many of them at once says whether another one fits.
//!
//! Owns when room is taken and given back while a reply is read, or shown to somebody else. Never decides how much
//! there is; that is for the [`Room`] that a call came with, and a call without one is bounded by its own limit alone.

use std::fmt;
use std::sync::Arc;

use crate::Error;

/// How much of a reply is read before room is taken. Most replies are smaller and ask nobody.
const FREE_BYTES: usize = 16 << 10;

/// Counts the bytes of replies that somebody holds. It is asked by the task that reads: it must not block.
pub trait Room: fmt::Debug + Send + Sync {
    /// Takes room for so many bytes more; `false` where there is none, and then nothing is taken.
    fn take(&self, bytes: usize) -> bool;

    /// Gives back so many of the bytes that were taken.
    fn give_back(&self, bytes: usize);
}

/// What one reply takes while somebody reads or copies it. It is given back when this is dropped, unless the reply was
/// handed on. The default takes nothing of anybody.
#[derive(Debug, Default)]
pub struct Share {
    room: Option<Arc<dyn Room>>,
    taken: usize,
}

impl Share {
    /// A share of this room, of which it takes nothing yet.
    pub fn of(room: Arc<dyn Room>) -> Self {
        Self { room: Some(room), taken: 0 }
    }

    /// Takes or gives back what is missing to so many bytes; the first few are free.
    pub fn hold(&mut self, held: usize) -> Result<(), Error> {
        let Some(room) = &self.room else { return Ok(()) };
        let wanted = if held > FREE_BYTES { held } else { 0 };
        if wanted < self.taken {
            room.give_back(self.taken - wanted);
        } else if wanted > self.taken && !room.take(wanted - self.taken) {
            return Err(Error::NoRoom);
        }
        self.taken = wanted;
        Ok(())
    }

    /// The reply goes on to whoever has the room, and what it takes with it.
    pub(super) fn hand_on(&mut self) {
        self.room = None;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(room) = self.room.take().filter(|_| self.taken > 0) {
            room.give_back(self.taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const MOST: usize = 4 * FREE_BYTES;

    #[derive(Debug, Default)]
    struct Shelf(AtomicUsize);

    impl Room for Shelf {
        fn take(&self, bytes: usize) -> bool {
            let within = |taken: usize| Some(taken + bytes).filter(|sum| *sum <= MOST);
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
        }

        fn give_back(&self, bytes: usize) {
            self.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn share() -> (Arc<Shelf>, Share) {
        let shelf = Arc::<Shelf>::default();
        (Arc::clone(&shelf), Share::of(shelf))
    }

    #[test]
    fn a_share_follows_what_is_held_and_ends_with_it() {
        let (shelf, mut share) = share();
        for (held, taken) in [
            (1, 0),
            (FREE_BYTES, 0),
            (FREE_BYTES + 1, FREE_BYTES + 1),
            (3 * FREE_BYTES, 3 * FREE_BYTES),
            (2 * FREE_BYTES, 2 * FREE_BYTES),
            (10, 0),
            (2 * FREE_BYTES, 2 * FREE_BYTES),
        ] {
            share.hold(held).unwrap();
            assert_eq!(shelf.0.load(Ordering::Relaxed), taken, "{held}");
        }
        drop(share);
        assert_eq!(shelf.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_does_not_fit_takes_nothing_and_what_was_handed_on_stays_taken() {
        let (shelf, mut share) = share();
        share.hold(MOST).unwrap();
        let mut other = Share::of(Arc::<Shelf>::clone(&shelf));
        assert!(matches!(other.hold(FREE_BYTES + 1), Err(Error::NoRoom)));
        drop(other);
        share.hand_on();
        drop(share);
        assert_eq!(shelf.0.load(Ordering::Relaxed), MOST);
    }
}
