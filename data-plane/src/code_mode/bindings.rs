//! What a program can call: the tools that its caller sees, each under a safe identifier.
//!
//! Identifiers are derived once for a view and kept with it, so that a program costs as much as it has words, however many
//! tools there are.

use std::collections::BTreeSet;

use toolplane_registry::view::{Entry, Identifiers};
use toolplane_registry::{View, signature};
use toolplane_sandbox::{Tool, identifier};

/// Identifiers of the tools of one view. A name that is one stands for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bindings<'v> {
    view: &'v View,
    identifiers: &'v Identifiers,
}

impl<'v> Bindings<'v> {
    /// Of everything that a caller sees.
    pub(crate) fn of(view: &'v View) -> Self {
        Self { view, identifiers: view.identifiers(derive) }
    }

    /// What a program calls this tool.
    pub(crate) fn identifier<'s>(&self, name: &'s str) -> &'s str
    where
        'v: 's,
    {
        let derived = self.view.position(name).and_then(|position| self.identifiers.name(position));
        derived.unwrap_or(name)
    }

    /// The tools that a program spells, with what the sandbox has to know of them. The others are not looked at.
    pub(crate) fn mentioned(&self, source: &str) -> (Vec<&'v Entry>, Vec<Tool>) {
        let words: BTreeSet<&str> = source.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let tool = |word: &str| {
            let entry = self.called(word)?;
            let parameters = signature::parameter_names(entry.tool());
            Some((entry, Tool { identifier: word.to_owned(), parameters }))
        };
        words.into_iter().filter_map(tool).unzip()
    }

    /// The tool that a program calls so. The prefixed form of a name is always accepted, so that programs go on when a
    /// collision comes or goes.
    fn called(&self, word: &str) -> Option<&'v Entry> {
        match self.identifiers.position(word) {
            Some(position) => self.view.entries().get(position),
            None => self.view.get(word).filter(|_| identifier::is_safe(word)),
        }
    }
}

/// The identifiers of those whose names are none.
fn derive(entries: &[Entry]) -> Identifiers {
    let names = || entries.iter().map(Entry::name);
    if names().all(identifier::is_safe) {
        return Identifiers::default();
    }
    let assigned = identifier::assign(names());
    let derived = names().enumerate().filter_map(|(position, name)| {
        assigned.get(name).filter(|identifier| *identifier != name).map(|found| (position, found.clone()))
    });
    derived.collect()
}

#[cfg(test)]
mod tests {
    use toolplane_registry::test_util::{a_domain, a_tool};
    use toolplane_registry::{Version, snapshot::Builder};

    use super::*;

    #[test]
    fn tools_are_bound_by_their_names_or_derived_ones() {
        let tools = vec![a_tool("search"), a_tool("get-user"), a_tool("other")];
        let snapshot = Builder::new(Version::new("s", 1)).domain(a_domain("crm", tools)).build().unwrap();
        let bindings = Bindings::of(snapshot.all());
        let (entries, tools) = bindings.mentioned("await search(1)\nawait get_user(2)\n'get-user'");
        let names: Vec<&str> = entries.iter().map(|entry| entry.name()).collect();
        let identifiers: Vec<&str> = tools.iter().map(|tool| tool.identifier.as_str()).collect();
        assert_eq!((names, identifiers), (vec!["get-user", "search"], vec!["get_user", "search"]));
        assert!(bindings.mentioned("nothing()").0.is_empty());
        assert_eq!(bindings.mentioned("await crm_search(1)").0[0].name(), "search", "an alias");
    }

    #[test]
    fn identifiers_are_derived_once_for_a_view_and_a_word_finds_its_tool_without_a_look_at_the_others() {
        let tools = vec![a_tool("list"), a_tool("get-user"), a_tool("get.user"), a_tool("plain")];
        let snapshot = Builder::new(Version::new("s", 1)).domain(a_domain("crm", tools)).build().unwrap();
        let view = snapshot.all();
        let bindings = Bindings::of(view);
        assert!(std::ptr::eq(bindings.identifiers, Bindings::of(view).identifiers));
        for entry in view.entries() {
            let identifier = bindings.identifier(entry.name());
            assert_eq!(bindings.called(identifier).unwrap().name(), entry.name(), "{identifier}");
        }
        assert!(bindings.called("list").is_none(), "it stays what Python has under that name");
        assert_eq!(bindings.called("crm_list").unwrap().name(), "list");
        // Whoever sees less has other identifiers.
        let narrowed = view.narrowed(view.position("get-user"));
        assert_eq!(Bindings::of(&narrowed).identifier("get-user"), "get_user");
        assert_ne!(bindings.identifier("get-user"), "get_user");
    }
}
