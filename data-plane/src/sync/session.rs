//! What the protocol allows on one stream: pure decisions, no I/O.
//!
//! | held | update | answer |
//! |---|---|---|
//! | any | a nonce seen before on this stream | NACK |
//! | any | no nonce or no version | NACK |
//! | a version of another store | not full | NACK |
//! | a later version of this store | any | NACK |
//! | anything else | | apply it, then ACK or NACK by its content |

use std::collections::HashSet;

use toolplane_proto::sync::Update;
use toolplane_registry::{Rejection, Rule, Version};

/// Nonces remembered; a stream that sends more has long outlived any confusion.
const MAX_NONCES: usize = 10_000;

/// One stream's memory.
#[derive(Debug, Default)]
pub(crate) struct Session {
    nonces: HashSet<String>,
}

impl Session {
    /// Whether the update may be applied at all.
    pub(crate) fn check(&mut self, held: &Version, update: &Update) -> Result<(), Rejection> {
        let refuse = |reason: String| Err(Rejection::new("update", Rule::Consistency, reason));
        if update.nonce.is_empty() {
            return refuse("has no nonce".to_owned());
        }
        if self.nonces.len() >= MAX_NONCES {
            self.nonces.clear();
        }
        if !self.nonces.insert(update.nonce.clone()) {
            return refuse(format!("repeats nonce `{}` of this stream", update.nonce));
        }
        let version = update.version.clone().map(Version::from).unwrap_or_default();
        if version.is_none() {
            return refuse("has no version".to_owned());
        }
        if !held.is_none() && version.store_id() != held.store_id() {
            return if update.full {
                Ok(())
            } else {
                refuse(format!("{version} comes from another store and is not a full one"))
            };
        }
        if version.number() < held.number() {
            return refuse(format!("{version} is older than {held}, which is served"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(nonce: &str, store: &str, number: u64, full: bool) -> Update {
        let version = Some((&Version::new(store, number)).into());
        Update { nonce: nonce.to_owned(), version, full, ..Update::default() }
    }

    #[test]
    fn the_table_holds() {
        let (none, v5) = (Version::none(), Version::new("a", 5));
        for (held, update, accepted) in [
            (&none, update("1", "a", 1, true), true),
            (&none, update("1", "a", 1, false), true),
            (&none, update("", "a", 1, true), false),
            (&none, update("1", "a", 0, true), false),
            (&none, Update { nonce: "1".to_owned(), ..Update::default() }, false),
            (&v5, update("1", "a", 6, false), true),
            (&v5, update("1", "a", 5, false), true),
            (&v5, update("1", "a", 4, false), false),
            (&v5, update("1", "a", 4, true), false),
            (&v5, update("1", "b", 1, false), false),
            (&v5, update("1", "b", 1, true), true),
        ] {
            let outcome = Session::default().check(held, &update);
            assert_eq!(outcome.is_ok(), accepted, "held {held}, {update:?}: {outcome:?}");
        }
    }

    #[test]
    fn a_nonce_counts_once_per_stream() {
        let mut session = Session::default();
        let held = Version::none();
        assert!(session.check(&held, &update("n", "a", 1, true)).is_ok());
        assert!(session.check(&held, &update("n", "a", 2, true)).is_err());
        assert!(session.check(&held, &update("m", "a", 2, true)).is_ok());
        assert!(Session::default().check(&held, &update("n", "a", 2, true)).is_ok());
    }
}
