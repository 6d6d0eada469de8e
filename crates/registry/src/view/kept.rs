//! Documents that somebody made of a view, kept with it.
//!
//! What is said of a view is the same for everybody who has it, and it never changes. Owns that such a document is made
//! once, when it is first asked for, and goes with the view. What stands in it is up to whoever makes it.

use std::fmt;
use std::sync::OnceLock;

use crate::RawJson;

/// A place for the documents of one thing.
#[derive(Clone, Default)]
pub struct Kept(OnceLock<Box<[RawJson]>>);

impl Kept {
    /// The documents, made now if they were never asked for. Those that could not be made are not kept; two who come
    /// at once may both make them.
    pub fn or_make<E>(&self, make: impl FnOnce() -> Result<Vec<RawJson>, E>) -> Result<&[RawJson], E> {
        if let Some(made) = self.0.get() {
            return Ok(made);
        }
        let documents = make()?;
        Ok(self.0.get_or_init(|| documents.into()))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.get().map(|made| made.iter().map(|one| one.as_str().len()).sum::<usize>());
        f.debug_tuple("Kept").field(&bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_made_once_and_failures_are_not_kept() {
        let kept = Kept::default();
        assert_eq!(kept.or_make(|| Err("no")), Err("no"));
        let make = || Ok::<_, &str>(vec![RawJson::parse("1").unwrap()]);
        assert_eq!(kept.or_make(make).unwrap().len(), 1);
        assert_eq!(kept.or_make(|| Err("made again")).unwrap().len(), 1);
        assert_eq!(format!("{kept:?}"), "Kept(Some(1))");
    }
}
