//! Snapshot versions: `(store id, number)`, ordered within one store.

use std::fmt;

/// Identifies a snapshot; survives reconnects.
///
/// Numbers of different stores are not comparable: a new store id means the database was restored or
/// replaced, and everything held must be fetched anew. Number 0 means "none".
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Version {
    store_id: String,
    number: u64,
}

impl Version {
    /// A version of a store.
    pub fn new(store_id: impl Into<String>, number: u64) -> Self {
        Self { store_id: store_id.into(), number }
    }

    /// The version of nothing: what a node holds before its first snapshot.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether this is the version of nothing.
    pub fn is_none(&self) -> bool {
        self.number == 0
    }

    /// The store that allocated the number.
    pub fn store_id(&self) -> &str {
        &self.store_id
    }

    /// The number, ordered within one store.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether this version is `other` or a later one of the same store.
    pub fn covers(&self, other: &Self) -> bool {
        other.is_none() || (self.store_id == other.store_id && self.number >= other.number)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covering_is_per_store() {
        let (a1, a2, b2) = (Version::new("a", 1), Version::new("a", 2), Version::new("b", 2));
        assert!(a2.covers(&a1) && a1.covers(&a1) && a1.covers(&Version::none()));
        assert!(!a1.covers(&a2) && !b2.covers(&a1));
        assert_eq!(a2.to_string(), "v2");
    }
}
