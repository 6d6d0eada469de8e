//! What a program can call: the tools that its caller sees, each under a safe identifier.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use toolplane_registry::view::Entry;
use toolplane_registry::{View, signature};
use toolplane_sandbox::{Tool, identifier};

/// Identifiers of the tools of one view. A name that is one stands for itself.
#[derive(Debug)]
pub(crate) struct Bindings<'v> {
    view: &'v View,
    /// Only where some name is none.
    derived: BTreeMap<&'v str, String>,
}

impl<'v> Bindings<'v> {
    /// Of everything that a caller sees.
    pub(crate) fn of(view: &'v View) -> Self {
        let names = || view.entries().iter().map(Entry::name);
        let derived =
            if names().all(identifier::is_safe) { BTreeMap::new() } else { identifier::assign(names()) };
        Self { view, derived }
    }

    /// What a program calls this tool.
    pub(crate) fn identifier<'s>(&'s self, name: &'s str) -> Cow<'s, str> {
        match self.derived.get(name) {
            Some(derived) => Cow::Borrowed(derived),
            None => Cow::Borrowed(name),
        }
    }

    /// The tools that a program spells, with what the sandbox has to know of them. The others need not be looked at.
    pub(crate) fn mentioned(&self, source: &str) -> (Vec<&'v Entry>, Vec<Tool>) {
        let words: HashSet<&str> = source.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let mut bound: Vec<(&'v Entry, Tool)> = Vec::new();
        let tool = |entry: &'v Entry, identifier: String| {
            let parameters = signature::parameter_names(entry.tool());
            (entry, Tool { identifier, parameters })
        };
        for entry in self.view.entries() {
            let identifier = self.identifier(entry.name());
            if words.contains(&*identifier) {
                bound.push(tool(entry, identifier.into_owned()));
            }
        }
        // The prefixed form of a name is always accepted, so that programs go on when a collision comes or goes.
        let mut aliases: Vec<&str> = words.into_iter().filter(|word| identifier::is_safe(word)).collect();
        aliases.sort_unstable();
        for word in aliases {
            if !bound.iter().any(|(_, tool)| tool.identifier == word)
                && let Some(entry) = self.view.get(word)
            {
                bound.push(tool(entry, word.to_owned()));
            }
        }
        bound.into_iter().unzip()
    }
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
}
