//! The texts of a tool in lower case, as searches and suggestions compare them.

use std::borrow::Cow;

use super::Entry;
use crate::Tool;

/// What of a tool does not depend on who sees it.
#[derive(Debug)]
pub(crate) struct Folded {
    /// The original name.
    pub(crate) name: Box<str>,
    /// The description.
    pub(crate) description: Box<str>,
}

impl Folded {
    pub(super) fn of(tool: &Tool) -> Self {
        let fold = |text: &str| text.to_lowercase().into_boxed_str();
        Self { name: fold(tool.original_name.as_str()), description: fold(&tool.description) }
    }
}

impl Entry {
    /// Its texts in lower case, made when they are first asked for and for every view that has the tool.
    pub(crate) fn folded(&self) -> &Folded {
        self.read.folded.get_or_init(|| Folded::of(&self.tool))
    }

    /// The published name in lower case. Most are published under their original one, and cost nothing here.
    pub(crate) fn folded_name(&self) -> Cow<'_, str> {
        if self.name() == self.tool.original_name.as_str() {
            Cow::Borrowed(&self.folded().name)
        } else {
            Cow::Owned(self.name.to_lowercase())
        }
    }
}
