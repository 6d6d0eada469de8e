//! Entries of a view that are listed together, and what was made of the list.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::{Entry, Kept};
use crate::Group;

/// How a list is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// With names and descriptions.
    Described,
    /// As signatures.
    Signatures,
    /// As signatures under the names that programs use.
    ForPrograms,
}

/// Entries that are listed together, with a place for each form in which that is told.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// In the entries of the view, ascending.
    pub(super) positions: Vec<usize>,
    described: Kept,
    signatures: Kept,
    for_programs: Kept,
}

/// The entries of one domain, and of each of its groups.
#[derive(Debug, Clone, Default)]
pub(super) struct InDomain {
    pub(super) whole: Part,
    /// Told apart when one of them is first asked for: most views never are.
    groups: OnceLock<BTreeMap<Group, Part>>,
}

impl Part {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// What was made of them in that form.
    pub fn kept(&self, form: Form) -> &Kept {
        match form {
            Form::Described => &self.described,
            Form::Signatures => &self.signatures,
            Form::ForPrograms => &self.for_programs,
        }
    }
}

impl InDomain {
    /// One of its groups, of the view with these entries.
    pub(super) fn group(&self, name: &str, entries: &[Entry]) -> Option<&Part> {
        self.groups.get_or_init(|| self.by_group(entries)).get(name)
    }

    fn by_group(&self, entries: &[Entry]) -> BTreeMap<Group, Part> {
        let mut groups: BTreeMap<Group, Part> = BTreeMap::new();
        for position in &self.whole.positions {
            if let Some(entry) = entries.get(*position) {
                groups.entry(entry.tool().group.clone()).or_default().positions.push(*position);
            }
        }
        groups
    }
}
