//! Documents that somebody made of a view, kept with it.
//!
//! What is said of a view is the same for everybody who has it, and it never changes. Owns that such a document is made
//! once, when it is first asked for, and goes with the view. What stands in it is up to whoever makes it.

use std::fmt;
use std::sync::OnceLock;

use crate::RawJson;

/// A place for one document.
#[derive(Clone, Default)]
pub struct Kept(OnceLock<RawJson>);

impl Kept {
    /// The document, made now if it was never asked for. One that could not be made is not kept; two who come at once
    /// may both make it.
    pub fn or_make<E>(&self, make: impl FnOnce() -> Result<RawJson, E>) -> Result<&RawJson, E> {
        if let Some(made) = self.0.get() {
            return Ok(made);
        }
        let document = make()?;
        Ok(self.0.get_or_init(|| document))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&self.0.get().map(|made| made.as_str().len())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_made_once_and_failures_are_not_kept() {
        let kept = Kept::default();
        assert_eq!(kept.or_make(|| Err("no")), Err("no"));
        assert_eq!(kept.or_make(|| Ok::<_, &str>(RawJson::parse("1").unwrap())).unwrap().as_str(), "1");
        assert_eq!(kept.or_make(|| Err("made again")).unwrap().as_str(), "1");
        assert_eq!(format!("{kept:?}"), "Kept(Some(1))");
    }
}
