//! Names that another language has for the tools of a view, kept with it.
//!
//! A language that does not take every published name derives others. Owns that this is done once for a view, and that a
//! tool is found by such a name without a look at the others. How they are derived is up to whoever first asks.

use std::collections::HashMap;
use std::sync::Arc;

/// The derived names of a view's entries, by position. Whoever has none goes by its published name.
#[derive(Debug, Clone, Default)]
pub struct Identifiers {
    names: HashMap<usize, Arc<str>>,
    positions: HashMap<Arc<str>, usize>,
}

impl Identifiers {
    /// The derived name of an entry, where it has one.
    pub fn name(&self, position: usize) -> Option<&str> {
        self.names.get(&position).map(AsRef::as_ref)
    }

    /// The entry that has this derived name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }
}

impl FromIterator<(usize, String)> for Identifiers {
    fn from_iter<T: IntoIterator<Item = (usize, String)>>(derived: T) -> Self {
        let mut made = Self::default();
        for (position, name) in derived {
            let name: Arc<str> = name.into();
            made.positions.insert(Arc::clone(&name), position);
            made.names.insert(position, name);
        }
        made
    }
}
